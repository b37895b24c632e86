"""Finds the extra of the package that provides a module which is not installed."""

EXTRA_OF = {
    "onnxruntime": "cpu",
    "chainzrule.training": "training",  # which the image leaves out
    "beartype": "training",
    "jaxtyping": "training",
    "cryptography": "signatures",
    "google": "grpc",
    "grpc": "grpc",
    "httpx": "client",
    "matplotlib": "training",
    "onnx": "training",
    "openpyxl": "excel",
    "pandas": "training",
    "pyarrow": "parquet",
    "scipy": "training",
    "sklearn": "training",
    "torch": "training",
    "torchdiffeq": "training",
    "tqdm": "training",
    "safetensors": "text",
    "tokenizers": "text",
}


def advice(error: ImportError) -> str | None:
    """Returns what to install where an import failed because an extra is missing; None where it failed otherwise."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__
    missing = (cause.name or "") if cause is not None else ""
    module = missing if missing in EXTRA_OF else missing.partition(".")[0]
    if module not in EXTRA_OF:
        return None
    extra = EXTRA_OF[module]
    other = " (on an NVIDIA GPU 'chainzrule[gpu]' in its place)" if extra == "cpu" else ""
    return f"{module} is not installed; install it with: pip install 'chainzrule[{extra}]'{other}"
