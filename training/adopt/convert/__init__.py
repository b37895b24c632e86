"""Converts the models that people have, objects of other libraries, to ONNX, beside those libraries' own answers."""
