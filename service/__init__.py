"""The ChainzRule server: answers predictions together with how stable they are. Never imports torch, onnx or training."""
