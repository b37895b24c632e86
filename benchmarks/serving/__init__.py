"""Measures how fast the service answers, next to other ways of serving the same model, in one run."""
