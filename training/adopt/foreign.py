"""Tells files that are no ONNX by how they begin, and says what to do with them."""

FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as PyTorch and Keras write; export the model to ONNX from its library"),
    (b"\x89HDF", "an HDF5 file, as Keras writes; export the model to ONNX (model.export(..., format='onnx'))"),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"),
)


def foreign_format(content: bytes) -> str | None:
    """Returns what a file's content is, and the way out, where it is known not to be ONNX; else None."""
    return next((what for beginning, what in FORMATS if content.startswith(beginning)), None)
