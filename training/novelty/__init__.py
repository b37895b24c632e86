"""Says how unlike the training rows a row is: densities of inputs and activations, as part of a model's own graph."""
