"""Trains derivative-controlled networks, and serves every prediction together with how stable it is.

    from chainzrule import ChainzRuleClassifier, ChainzRuleRegressor, ChainzRuleOrdinal, adopt, load, publish

Each name is imported when it is first used: `import chainzrule` itself needs neither PyTorch nor ONNX Runtime.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainzrule.loaded import load
    from chainzrule.training.adopt.adopt import adopt
    from chainzrule.training.estimators import ChainzRuleClassifier, ChainzRuleOrdinal, ChainzRuleRegressor
    from chainzrule.training.publish.pipelines import publish

__all__ = [
    "ChainzRuleClassifier",
    "ChainzRuleOrdinal",
    "ChainzRuleRegressor",
    "__version__",
    "adopt",
    "load",
    "publish",
]

# The wheel, the API and the image all read the version here.
__version__ = "0.2.0"

_HOMES = {
    "ChainzRuleClassifier": "chainzrule.training.estimators",
    "ChainzRuleOrdinal": "chainzrule.training.estimators",
    "ChainzRuleRegressor": "chainzrule.training.estimators",
    "adopt": "chainzrule.training.adopt.adopt",
    "load": "chainzrule.loaded",
    "publish": "chainzrule.training.publish.pipelines",
}


def __getattr__(name: str) -> Any:
    """Imports one of the public names; raises an `ImportError` that says what to install where an extra is missing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'chainzrule' has no attribute '{name}'")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ImportError as error:
        from chainzrule.extras import advice

        if (found := advice(error)) is None:
            raise
        raise ImportError(f"chainzrule.{name} cannot be imported: {found}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
