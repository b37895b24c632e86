"""Measures a model on rows it was not fitted to: quality, stability reference, calibration."""
