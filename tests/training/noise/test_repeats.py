"""Noise from repeats: how near it comes to the truth, what moves together, and what cannot be judged."""

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.repeats import config_of, measure

SD = np.array([0.5, 1.0, 0.2])
CORRELATION = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])


def table(seed: int, samples: int = 30, times: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    truth = np.repeat(random.normal(10, 3, (samples, 3)), times, axis=0)
    noise = random.normal(size=truth.shape) @ np.linalg.cholesky(CORRELATION).T * SD
    frame = pd.DataFrame(truth + noise, columns=["a", "b", "c"])
    return frame.assign(sample=np.repeat(np.arange(samples), times))


def test_the_covariances_error_is_that_of_the_theory() -> None:
    """Over 200 experiments of 30 samples measured 3 times: 60 degrees of freedom, so 1 / sqrt(120) = 9.1%."""
    found = [measure(table(seed), ["sample"]) for seed in range(200)]
    errors = np.array([one.sd for one in found]) / SD - 1.0
    assert {one.freedom for one in found} == {(60, 60, 60)}
    assert np.abs(errors.mean(axis=0)).max() < 0.02
    np.testing.assert_allclose(errors.std(axis=0), 120**-0.5, rtol=0.2)
    correlation = np.array([one.correlation[0, 1] for one in found])
    assert abs(correlation.mean() - 0.8) < 0.02
    assert correlation.std() < 1.3 * (1 - 0.8**2) / np.sqrt(60)
    assert sum(one.groups == (("a", "b"),) for one in found) >= 190  # at a level of 1%


def test_what_is_written_is_what_fit_takes() -> None:
    sections = config_of(measure(table(0), ["sample"]))
    assert set(sections["noise"]) == {"a", "b", "c"}
    assert sections["noise_law"]["measured"] == ["a", "b", "c"]
    [group] = sections["noise_law"]["groups"]
    assert group["columns"] == ["a", "b"]
    assert np.linalg.eigvalsh(group["correlation"]).min() > 0


def test_samples_that_were_measured_once_say_nothing() -> None:
    frame = table(1)
    single = pd.DataFrame({"a": [1e6], "b": [-1e6], "c": [1e6], "sample": [99]})
    np.testing.assert_allclose(measure(pd.concat([frame, single]), ["sample"]).sd, measure(frame, ["sample"]).sd)


def test_columns_that_cannot_be_judged_are_named_with_the_reason() -> None:
    frame = table(2).assign(site="north", fixed=lambda rows: rows["sample"] * 2.0, rare=np.nan)
    frame.loc[:3, "rare"] = 1.0
    found = measure(frame, ["sample"])
    assert found.columns == ("a", "b", "c")
    assert found.unjudged["site"] == "has no numbers"
    assert "never differs" in found.unjudged["fixed"]
    assert "degrees of freedom" in found.unjudged["rare"]


def test_heavy_tails_and_noise_that_grows_with_the_value_are_noted() -> None:
    random = np.random.default_rng(3)
    truth = np.repeat(random.uniform(1, 100, 200), 4)
    frame = pd.DataFrame(
        {
            "heavy": truth + random.standard_t(3, 800),
            "growing": truth * (1 + 0.05 * random.normal(size=800)),
            "plain": truth + random.normal(size=800),
            "sample": np.repeat(np.arange(200), 4),
        }
    )
    notes = measure(frame, ["sample"]).notes
    assert any(note.startswith("'heavy' has heavier tails") for note in notes)
    [growing] = [note for note in notes if "grows with the value" in note]
    assert growing.startswith("'growing'")
    assert 4.7 < float(growing.split()[-1].rstrip("%")) < 5.4
    assert not any(note.startswith("'plain'") for note in notes)


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such column; it has a, b, c, sample"):
        measure(table(0), ["smaple"])
    with pytest.raises(ConfigError, match="which sample"):
        measure(table(0).assign(sample=[None] * 90), ["sample"])
    with pytest.raises(ConfigError, match="no column can be judged"):
        measure(table(0, samples=30, times=1), ["sample"])
    with pytest.raises(ConfigError, match="at least 10"):
        measure(table(0, samples=9, times=2), ["sample"])


def test_each_column_is_judged_by_the_rows_that_have_it() -> None:
    frame = table(5, samples=40)
    frame.loc[frame["sample"] % 2 == 0, "a"] = np.nan
    frame.loc[frame["sample"] % 2 == 1, "b"] = np.nan
    found = measure(frame, ["sample"])
    assert found.freedom == (40, 40, 80)
    np.testing.assert_allclose(found.sd, SD, rtol=0.35)
    assert found.groups == ()  # no row has both


def test_what_only_numbers_the_repeats_is_no_measurement() -> None:
    frame = table(6)
    numbered = frame.assign(run=frame.groupby("sample").cumcount() + 1)
    assert measure(numbered, ["sample"]).unjudged == {"run": "numbers the repeats"}


@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_the_size_of_a_column_does_not_matter(size: float) -> None:
    frame = table(7)
    found = measure(frame.assign(a=frame["a"] * size), ["sample"])
    np.testing.assert_allclose(found.sd, measure(frame, ["sample"]).sd * [size, 1.0, 1.0])
    assert found.groups == (("a", "b"),)


def test_what_no_float_holds_is_not_judged(recwarn: pytest.WarningsRecorder) -> None:
    frame = table(8)
    found = measure(frame.assign(a=frame["a"] * 1e200, b=frame["b"] * 1e-200), ["sample"])
    assert found.columns == ("c",)
    assert all("32-bit float" in reason for reason in found.unjudged.values())
    assert not recwarn.list
