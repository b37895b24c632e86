"""What a configuration may say of noise."""

from typing import Any

import pytest

from chainzrule.training.config import make_config
from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.config import ColumnNoise

BASE = {"name": "m", "data": {"source": "wine"}}


def test_noise_is_a_number_a_share_or_a_table() -> None:
    noise = make_config({**BASE, "noise": {"a": 1, "b": "5%", "c": {"sd": 2, "least": 0}}}, "test").noise
    assert noise == {"a": 1.0, "b": "5%", "c": ColumnNoise(sd=2.0, least=0.0)}


@pytest.mark.parametrize(
    "sections",
    [
        {"noise": {"a": "five"}},
        {"noise": {"a": True}},
        {"noise": {"a": {"sd": -1}}},
        {"noise": {"a": {"sigma": 1}}},
        {"noise_law": {"law": "t"}},
        {"noise_law": {"law": "normal", "degrees_of_freedom": 3}},
        {"noise_law": {"law": "cauchy"}},
        {"noise_law": {"groups": [{"columns": ["a"], "correlation": 0.5}]}},
        {"noise_law": {"groups": [{"columns": ["a", "b"], "correlation": "as rows"}]}},
    ],
)
def test_what_is_no_noise_is_refused(sections: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="noise"):
        make_config({**BASE, **sections}, "test")


def test_the_usual_law_leaves_the_hash_as_it_was() -> None:
    plain = make_config(BASE, "test")
    assert make_config({**BASE, "noise_law": {}}, "test").sha256 == plain.sha256
    heavy = make_config({**BASE, "noise_law": {"law": "t", "degrees_of_freedom": 3}}, "test")
    assert heavy.sha256 != plain.sha256
