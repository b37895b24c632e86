"""Measures what a training step costs, with and without derivative penalties, in one run."""
