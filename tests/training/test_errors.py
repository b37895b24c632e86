"""The tree of what training refuses."""

import inspect

from chainzrule.training import errors
from chainzrule.training.errors import ConfigError, TrainingError

CLASSES = {name: one for name, one in vars(errors).items() if inspect.isclass(one)}


def test_the_tree_is_the_one_that_is_described() -> None:
    described = [line.split()[1] for line in str(errors.__doc__).splitlines() if line.lstrip()[:1] in ("├", "└")]
    assert described == [name for name in CLASSES if name != "TrainingError"]
    assert all(issubclass(one, TrainingError) for one in CLASSES.values())


def test_scikit_learn_sees_a_wrong_setting_as_a_wrong_value() -> None:
    assert issubclass(ConfigError, ValueError)
