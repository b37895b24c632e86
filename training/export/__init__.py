"""A fitted model as ONNX graphs, and the check that they say what the network says."""
