"""Measures how true the stability measures are, on shipped models and on networks fitted for the comparison."""
