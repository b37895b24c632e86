"""Noise files: what is written is read again, and what does not belong there is refused."""

from pathlib import Path

import pytest

from chainzrule.training.config import make_config
from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.file import noise_text, read_noise

SECTIONS = {
    "noise": {"mean radius": 0.25, 'odd "name"\\': 1e-9, "größe": 3.0},
    "noise_law": {
        "measured": ["mean radius", "größe"],
        "groups": [{"columns": ["mean radius", "größe"], "correlation": [[1.0, -0.5], [-0.5, 1.0]]}],
    },
}


def test_what_is_written_is_read_again_and_taken_by_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "noise.toml"
    file.write_text(noise_text(SECTIONS, remarks=["measured from repeats"]), encoding="utf-8")
    assert read_noise(file) == SECTIONS
    config = make_config({"name": "m", "data": {"source": "wine"}, **read_noise(file)}, "test")
    assert config.noise == SECTIONS["noise"]
    assert config.noise_law.groups[0].correlation == ((1.0, -0.5), (-0.5, 1.0))


def test_other_sections_and_broken_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "noise.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_noise(file)
    file.write_text("[data]\nsource = 'wine'\n")
    with pytest.raises(ConfigError, match="data does not belong there"):
        read_noise(file)
    file.write_text("noise = [")
    with pytest.raises(ConfigError, match="no valid TOML"):
        read_noise(file)
