"""Adopts other people's ONNX models as artifacts: normalised, measured and verified on a sample, without torch."""
