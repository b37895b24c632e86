"""Measures how well the novelty finds what a model knows nothing about, beside the usual scores."""
