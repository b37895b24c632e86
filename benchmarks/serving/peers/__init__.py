"""Other model servers around ONNX Runtime, as their own documentation has it; each runs in an environment of its own.

They get the graph without its covariance, one process, and one thread a run: `PEER_MODEL` is the graph, `PEER_PORT`
where to listen.
"""
