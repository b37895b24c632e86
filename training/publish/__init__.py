"""Whole training runs: data, fit, measurement, export, verification, and the next version in the repository."""
