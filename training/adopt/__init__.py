"""Other people's ONNX models as artifacts: normalised, measured and verified on a sample. Needs no torch."""
