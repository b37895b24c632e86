"""Exports a fitted model as ONNX graphs, and verifies that they compute what the network computes."""
