"""Runs models: opens graphs in ONNX Runtime, encodes rows as matrices, and checks versions before they answer."""
