"""Computes how stable a prediction is: measures, verdicts and their rolling window, in pure numpy."""
