"""Models from files and folders: loaded where that is safe, or where the user trusts whoever made them."""

import io
import pickle
import zipfile
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from chainzrule.training.adopt.convert.files import load_model
from chainzrule.training.errors import AdoptionError

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X.sum(axis=1)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", ["pickle", "joblib"])
def test_a_pickle_is_loaded_only_where_it_is_trusted(tmp_path: Path, write: str) -> None:
    path = tmp_path / "model.pkl"
    model = LinearRegression().fit(X, Y)
    if write == "pickle":
        path.write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, path)
    np.testing.assert_allclose(load_model(path, trust_pickle=True).predict(X), Y)
    with pytest.raises(AdoptionError) as caught:
        load_model(path, trust_pickle=False)
    assert str(caught.value) == (
        f"{path}: is a pickle, which runs whatever code it holds when it is loaded; if you trust whoever made it, say "
        "--trust-pickle (trust_pickle=True), else have it exported to ONNX or saved with skops"
    )


def test_nothing_of_a_pickle_runs_before_it_is_trusted(tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.pkl", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(AdoptionError):
        load_model(path, trust_pickle=False)
    assert not sprung.exists()
    load_model(path, trust_pickle=True)
    assert sprung.exists()


def test_a_pickle_that_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LinearRegression())[:-20])
    with pytest.raises(
        AdoptionError, match=r"model\.pkl: cannot be loaded \(.+\); load it in Python and give the object"
    ):
        load_model(path, trust_pickle=True)


def test_lightgbms_own_file_is_loaded(tmp_path: Path) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=2, verbose=-1).fit(X, Y)
    model.booster_.save_model(tmp_path / "model.txt")
    found = load_model(tmp_path / "model.txt", trust_pickle=False)
    np.testing.assert_allclose(found.predict(X), model.predict(X))


def test_xgboosts_own_file_is_loaded_as_what_it_is(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    for kind, y in (("XGBClassifier", Y > 0), ("XGBRegressor", Y)):
        model = getattr(xgboost, kind)(n_estimators=3).fit(X, y)
        for ending in ("json", "ubj"):
            path = tmp_path / f"model.{ending}"
            model.save_model(path)
            found = load_model(path, trust_pickle=False)
            assert type(found).__name__ == kind
            np.testing.assert_allclose(found.predict(X), model.predict(X))


def test_catboosts_own_file_is_loaded_as_what_it_is(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost")
    for kind, y in (("CatBoostClassifier", Y > 0), ("CatBoostRegressor", Y)):
        model = getattr(catboost, kind)(iterations=3, verbose=False, allow_writing_files=False).fit(X, y)
        model.save_model(str(tmp_path / "model.cbm"))
        assert type(load_model(tmp_path / "model.cbm", trust_pickle=False)).__name__ == kind


def test_skops_files_are_loaded_where_their_types_are_known(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    skops.dump(LinearRegression().fit(X, Y), tmp_path / "model.skops")
    np.testing.assert_allclose(load_model(tmp_path / "model.skops", trust_pickle=False).predict(X), Y)


def test_other_files_are_left_to_whoever_reads_them_next(tmp_path: Path) -> None:
    with io.BytesIO() as into:
        with zipfile.ZipFile(into, "w") as archive:
            archive.writestr("weights", b"")
        (tmp_path / "model.pt").write_bytes(into.getvalue())
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")
    for name in ("model.pt", "model.onnx", "none"):
        assert load_model(tmp_path / name, trust_pickle=False) == tmp_path / name


def test_an_mlflow_folder_names_its_model(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match="is a folder without an MLmodel file; name the model's file in it"):
        load_model(tmp_path, trust_pickle=False)
    described = "flavors:\n  python_function:\n    data: {0}\n    loader_module: mlflow.x\n  x:\n    {1}: {0}\n"
    (tmp_path / "MLmodel").write_text(described.format("model.onnx", "data"))
    with pytest.raises(AdoptionError, match="the files that its MLmodel names are not in it"):
        load_model(tmp_path, trust_pickle=False)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")
    assert load_model(tmp_path, trust_pickle=False) == tmp_path / "model.onnx"
    (tmp_path / "MLmodel").write_text(described.format("model.pkl", "pickled_model"))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(X, Y)))
    with pytest.raises(AdoptionError, match=r"model\.pkl: is a pickle"):
        load_model(tmp_path, trust_pickle=False)
    np.testing.assert_allclose(load_model(tmp_path, trust_pickle=True).predict(X), Y)


def test_an_mlflow_folder_cannot_name_files_outside_of_it(tmp_path: Path) -> None:
    (tmp_path / "outside.pkl").write_bytes(pickle.dumps(LinearRegression()))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: ../outside.pkl\n")
    with pytest.raises(AdoptionError, match="the files that its MLmodel names are not in it"):
        load_model(folder, trust_pickle=True)
