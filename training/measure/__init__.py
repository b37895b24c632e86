"""What a model is worth on rows it was not fitted to: quality, stability reference, calibration."""
