"""Fits networks to rows: the loop, its recipe, objective, losses and checkpoints."""
