"""Serves predictions and how stable they are. This package never imports torch, onnx or training."""
