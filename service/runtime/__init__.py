"""Running models: graphs in ONNX Runtime, rows into matrices, batches, and the catalog of loaded versions."""
