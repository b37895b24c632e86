"""Measures what the full Jacobian of a batch costs, next to Captum's Saliency over the same network's outputs."""
