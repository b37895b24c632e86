import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import chainzrule
from tests.processes import ROOT

HEAVY = ("numpy", "torch", "onnxruntime", "onnx", "pandas", "pydantic", "sklearn", "chainzrule.service")


def python(program: str, *hidden: str) -> str:
    """What a program prints where these modules are not installed."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({list(hidden)!r}))\n"
    done = subprocess.run([sys.executable, "-c", hide + program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_alone_imports_nothing() -> None:
    assert python(f"import chainzrule; print([name for name in {HEAVY!r} if name in sys.modules])") == "[]"


def test_what_people_use_is_at_the_top() -> None:
    from chainzrule import ChainzRuleClassifier, ChainzRuleOrdinal, ChainzRuleRegressor, adopt, load, publish

    estimators = importlib.import_module("chainzrule.training.estimators")
    assert ChainzRuleClassifier is estimators.ChainzRuleClassifier
    assert ChainzRuleOrdinal is estimators.ChainzRuleOrdinal
    assert ChainzRuleRegressor is estimators.ChainzRuleRegressor
    assert adopt is importlib.import_module("chainzrule.training.adopt.adopt").adopt
    assert load is importlib.import_module("chainzrule.loaded").load
    assert publish is importlib.import_module("chainzrule.training.publish.pipelines").publish
    assert type(pickle.loads(pickle.dumps(ChainzRuleRegressor(degree=2)))) is ChainzRuleRegressor


def test_the_names_are_listed_before_they_are_imported() -> None:
    names = ["ChainzRuleClassifier", "ChainzRuleOrdinal", "ChainzRuleRegressor"]
    names += ["__version__", "adopt", "load", "publish"]
    assert chainzrule.__all__ == names
    listed = python("import chainzrule; print(*dir(chainzrule)); print('numpy' in sys.modules)").split()
    assert set(names) <= set(listed)
    assert listed[-1] == "False"


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="module 'chainzrule' has no attribute 'train'"):
        chainzrule.train  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'train'"):
        from chainzrule import train  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize(
    ("name", "hidden", "extra"),
    [
        ("ChainzRuleClassifier", "torch", "training"),
        ("ChainzRuleOrdinal", "sklearn", "training"),
        ("ChainzRuleRegressor", "pandas", "training"),
        ("adopt", "onnx", "training"),
        ("adopt", "onnxruntime", "cpu"),
        ("load", "onnxruntime", "cpu"),
    ],
)
def test_a_missing_extra_is_named(name: str, hidden: str, extra: str) -> None:
    program = f"try:\n    from chainzrule import {name}\nexcept ImportError as error:\n    print(error)"
    expected = f"chainzrule.{name} cannot be imported: {hidden} is not installed; install it with: pip install"
    found = python(program, hidden)
    assert found.startswith(f"{expected} 'chainzrule[{extra}]'")
    assert "\n" not in found


def test_the_client_names_its_extra() -> None:
    program = "try:\n    import chainzrule.client\nexcept ImportError as error:\n    print(error)"
    assert "pip install 'chainzrule[client]'" in python(program, "httpx")
    program = f"from chainzrule.client import Client; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(program) == "[]"


def test_a_fault_of_another_kind_is_no_missing_extra(tmp_path: Path) -> None:
    program = "import chainzrule\ntry:\n    chainzrule.load\nexcept ImportError as error:\n    print(error.name)"
    assert python(program, "chainzrule.cells") == "chainzrule.cells"


def test_models_are_opened_and_adopted_without_torch(tmp_path: Path) -> None:
    program = """
from chainzrule import adopt, load
model = load("models", "diabetes")
answers = model.predict([[59, "2", 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]])
print(model.card.name, round(answers[0]["value"], 3), answers[0]["stability"]["verdict"])
"""
    assert python(program, "torch", "onnxscript") == "diabetes 198.276 elevated"
