"""Certification: an ONNX graph that computes sound bounds of a network's scores over boxes of inputs."""
