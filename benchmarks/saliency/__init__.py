"""What the full Jacobian of a batch costs, beside Captum's Saliency over the outputs of the same network."""
