"""The noise of columns on a command line: single columns, shares, and a file."""

import argparse
from pathlib import Path

import pytest

from chainzrule.noiseflags import add_noise_flags, noise_sections
from chainzrule.training.errors import ConfigError


def sections(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_noise_flags(parser)
    return noise_sections(parser.parse_args(arguments), {"a": 1.0, "b": 1.0})


def test_flags_come_before_the_file_and_that_before_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "noise.toml"
    file.write_text('[noise]\nb = 2.0\nc = 2.0\n[noise_law]\nlaw = "uniform"\n')
    assert sections() == {"noise": {"a": 1.0, "b": 1.0}}
    assert sections("--noise-file", str(file), "--noise", "c=3", "--noise", "d=e=5 %") == {
        "noise": {"a": 1.0, "b": 2.0, "c": 3.0, "d=e": "5%"},
        "noise_law": {"law": "uniform"},
    }


@pytest.mark.parametrize("argument", ["a", "a=", "a=much", "a=much%", "a=%"])
def test_what_is_no_noise_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(ConfigError, match=r"COLUMN=VALUE.*5%"):
        sections("--noise", argument)
