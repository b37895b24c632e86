"""From rows to a fitted network: the loop, its recipe, objective, losses and checkpoints."""
