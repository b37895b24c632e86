"""`chainzrule noise`: from a table of repeats to a file that `fit` takes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.cli import main
from chainzrule.exits import Exit
from chainzrule.training.noise.file import read_noise


@pytest.fixture
def repeats(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    contour = random.normal(size=120)
    frame = pd.DataFrame(
        {
            "cell": np.repeat(np.arange(40), 3),
            "radius": np.repeat(random.normal(14, 3, 40), 3) + 0.2 * contour,
            "perimeter": np.repeat(random.normal(90, 9, 40), 3) + 1.2 * contour + 0.2 * random.normal(size=120),
            "site": "north",
        }
    )
    path = tmp_path / "repeats.csv"
    frame.to_csv(path, index=False)
    return path


def test_it_prints_what_fit_takes(repeats: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["noise", str(repeats), "--group", "cell"]) == Exit.FINE
    printed = capsys.readouterr().out
    file = tmp_path / "printed.toml"
    file.write_text(printed)
    found = read_noise(file)
    assert found["noise"]["radius"] == pytest.approx(0.2, rel=0.25)
    assert found["noise_law"]["groups"][0]["columns"] == ["radius", "perimeter"]
    assert found["noise_law"]["groups"][0]["correlation"][0][1] > 0.95
    assert "# measured with 80 degrees of freedom: standard deviations are right to about 8%" in printed
    assert "# not judged: 'site' has no numbers" in printed


def test_it_writes_a_file_once(repeats: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "noise.toml"
    assert main(["noise", str(repeats), "--group", "cell", "--output", str(output)]) == Exit.FINE
    assert f"--noise-file {output}" in capsys.readouterr().out
    assert set(read_noise(output)["noise"]) == {"radius", "perimeter"}
    assert main(["noise", str(repeats), "--group", "cell", "--output", str(output)]) == Exit.USAGE
    assert "exists already" in capsys.readouterr().err


def test_a_column_that_is_not_there_is_named(repeats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["noise", str(repeats), "--group", "sample"]) == Exit.USAGE
    assert "--group sample: the file has no such column; it has cell, radius" in capsys.readouterr().err


def test_a_table_is_read_as_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{sample};{sample + step / 10:.1f}".replace(".", ",") for sample in range(20) for step in (0, 3)]
    (tmp_path / "repeats.csv").write_text("id;a\n" + "\n".join(lines))
    assert main(["noise", str(tmp_path / "repeats.csv"), "--group", "id", "--decimal", ","]) == Exit.FINE
    assert '"a" = 0.212132' in capsys.readouterr().out
    assert main(["noise", str(tmp_path / "repeats.csv"), "--group", "id", "--decimal", ";"]) == Exit.USAGE
