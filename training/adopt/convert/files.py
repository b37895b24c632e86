"""Loads models from the files and folders that libraries write, other than ONNX."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from chainzrule.training.errors import AdoptionError

PICKLES = tuple(bytes((0x80, protocol)) for protocol in (2, 3, 4, 5))
PICKLE = (
    "which runs whatever code it holds when it is loaded; if you trust whoever made it, say --trust-pickle "
    "(trust_pickle=True), else have it exported to ONNX or saved with skops"
)
_FILE = re.compile(r"^ +(?:data|pickled_model|model_data): *(\S+) *$", re.MULTILINE)


def load_model(path: Path, trust_pickle: bool) -> Any:
    """Returns the model of a file or of an MLflow folder; the path of an ONNX file comes back as it is.

    Args:
        path: the file or the folder.
        trust_pickle: whether pickles may be loaded, which can run any code.

    Raises:
        AdoptionError: it may not be loaded, its library is not installed, or its library cannot load it.
    """
    if path.is_dir():
        return load_model(_in_folder(path), trust_pickle)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return path  # whoever reads it next says what is wrong
    try:
        return _loaded(path, start, trust_pickle)
    except ModuleNotFoundError as error:
        raise AdoptionError(
            f"{path}: takes {error.name}, which is not installed; install it with: pip install {error.name}"
        ) from None
    except AdoptionError:
        raise
    except Exception as error:  # unpicklers and libraries raise whatever they like
        said = " ".join(f"{type(error).__name__}: {error}".split())[:240]
        raise AdoptionError(
            f"{path}: cannot be loaded ({said}); load it in Python and give the object to adopt"
        ) from None


def _loaded(path: Path, start: bytes, trust_pickle: bool) -> Any:
    if start.startswith(PICKLES):
        if not trust_pickle:
            raise AdoptionError(f"{path}: is a pickle, {PICKLE}")
        import joblib

        return joblib.load(path)
    if zipfile.is_zipfile(path) and "schema.json" in zipfile.ZipFile(path).namelist():
        return _from_skops(path, trust_pickle)
    if start.startswith(b"tree\n"):
        import lightgbm

        return lightgbm.Booster(model_file=str(path))
    if start.startswith(b"CBM1"):
        return _from_catboost(path)
    if start[:1] == b"{":
        return _from_xgboost(path)
    return path


def _from_skops(path: Path, trust_pickle: bool) -> Any:
    import skops.io

    unknown = skops.io.get_untrusted_types(file=path)
    if unknown and not trust_pickle:
        raise AdoptionError(
            f"{path}: holds objects of types that skops does not know to be safe ({', '.join(unknown[:5])}); if you "
            "trust whoever made it, say --trust-pickle (trust_pickle=True)"
        )
    return skops.io.load(path, trusted=unknown)


def _from_catboost(path: Path) -> Any:
    import catboost

    model = catboost.CatBoost().load_model(str(path))
    kind = catboost.CatBoostClassifier if len(model.classes_) else catboost.CatBoostRegressor
    return kind().load_model(str(path))


def _from_xgboost(path: Path) -> Any:
    import xgboost

    booster = xgboost.Booster(model_file=str(path))
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    kind = xgboost.XGBClassifier if objective.startswith(("binary:", "multi:")) else xgboost.XGBRegressor
    model = kind()
    model.load_model(str(path))
    return model


def _in_folder(folder: Path) -> Path:
    """Returns the model's file in an MLflow folder."""
    described = folder / "MLmodel"
    if not described.is_file():
        raise AdoptionError(f"{folder}: is a folder without an MLmodel file; name the model's file in it")
    named: list[Path] = [folder / name.strip("'\"") for name in _FILE.findall(described.read_text())]
    found = [path for path in named if path.is_file() and path.resolve().is_relative_to(folder.resolve())]
    if not found:
        raise AdoptionError(f"{folder}: the files that its MLmodel names are not in it; name the model's file")
    onnx_files = [path for path in found if path.suffix == ".onnx"]
    return onnx_files[0] if onnx_files else found[0]
