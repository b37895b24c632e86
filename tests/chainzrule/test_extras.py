import tomllib

import pytest
from packaging.requirements import Requirement

from chainzrule.extras import EXTRA_OF, advice
from tests.processes import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Modules that are not called as the packages that bring them.
PACKAGES = {"google": "protobuf", "grpc": "grpcio", "sklearn": "scikit-learn"}


def packages(extra: str) -> set[str]:
    return {Requirement(text).name for text in EXTRAS[extra]}


@pytest.mark.parametrize("module", [module for module in EXTRA_OF if module != "chainzrule.training"])
def test_the_named_extra_brings_the_module(module: str) -> None:
    assert PACKAGES.get(module, module) in packages(EXTRA_OF[module])


@pytest.mark.parametrize("extra", ["cpu", "training", "text", "parquet", "signatures"])
def test_every_package_of_an_extra_is_known(extra: str) -> None:
    assert packages(extra) <= {PACKAGES.get(module, module) for module in EXTRA_OF}


def test_the_advice_is_about_the_first_cause() -> None:
    try:
        raise ImportError("no ONNX Runtime") from ModuleNotFoundError("none", name="onnxruntime.capi")
    except ImportError as error:
        found = advice(error)
    assert found is not None
    assert found.startswith("onnxruntime is not installed; install it with: pip install 'chainzrule[cpu]'")
    assert "chainzrule[gpu]" in found


def test_an_installation_without_training_says_so() -> None:
    found = advice(ModuleNotFoundError("none", name="chainzrule.training"))
    assert found == "chainzrule.training is not installed; install it with: pip install 'chainzrule[training]'"


@pytest.mark.parametrize(
    "error", [ImportError("broken"), ModuleNotFoundError("none", name="nothing"), ModuleNotFoundError("none")]
)
def test_there_is_no_advice_for_anything_else(error: ImportError) -> None:
    assert advice(error) is None
