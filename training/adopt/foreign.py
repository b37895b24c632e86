"""Tells files that are no ONNX by how they begin, and operators that nobody else runs, and says what to do then."""

import onnx

from chainzrule.training.errors import AdoptionError

FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as PyTorch and Keras write; export the model to ONNX from its library"),
    (b"\x89HDF", "an HDF5 file, as Keras writes; export the model to ONNX (model.export(..., format='onnx'))"),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"),
)
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # the last are ONNX Runtime's own, which the service runs on
FREE_TEXT = frozenset(("Tokenizer", "TfIdfVectorizer", "StringSplit", "StringNormalizer", "RegexFullMatch"))


def foreign_format(content: bytes) -> str | None:
    """Returns what a file's content is, and the way out, where it is known not to be ONNX; else None."""
    return next((what for beginning, what in FORMATS if content.startswith(beginning)), None)


def refuse_foreign_operators(model: onnx.ModelProto) -> None:
    """Raises `AdoptionError` for operators that the service cannot run, and for those that read free text."""
    if found := sorted(FREE_TEXT & {node.op_type for node in model.graph.node}):
        raise AdoptionError(
            f"the model reads free text ({found[0]}), which cannot be adopted; a column of it is no category"
        )
    own_functions = {(function.domain, function.name) for function in model.functions}
    for node in model.graph.node:
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own_functions:
            raise AdoptionError(
                f"operator {node.domain}::{node.op_type} is no standard one; export the model with operators of "
                "ai.onnx and ai.onnx.ml alone"
            )
