"""The ChainzRule server: answers predictions and how stable they are. Never imports torch, onnx or training."""
