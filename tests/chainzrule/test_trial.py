"""Trials of policies: what every row would cost, by the model's own answers and by those of a fallback."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainzrule.loaded import LoadedModel, load
from chainzrule.service.policy.policy import Policy, Rule
from chainzrule.tables.files import table_at
from chainzrule.tables.table import TableError
from chainzrule.trial import Trial, errors_by_coverage, try_policy
from tests.artifacts import FAMILIAR, REGRESSION, Toy

OTHER = replace(FAMILIAR, name="other", seed=9)
ROWS = [[1.5, -1.0], [9.0, 3.0], [1.0, -1.2], [9.0, 3.5], [11.0, 4.0]]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for toy in (FAMILIAR, OTHER, REGRESSION):
        toy.publish(tmp_path / "models", check=lambda artifact: None)
    return tmp_path / "models"


def table(path: Path, toy: Toy, truths: list[object], rows: list[list[float]] = ROWS) -> Path:
    names = [feature.name for feature in toy.features]
    lines = [",".join([*names, "truth"])]
    lines += [",".join(map(str, [*row, truth])) for row, truth in zip(rows, truths, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def tried(model: LoadedModel, file: Path, policy: Policy | None, **fallbacks: LoadedModel) -> Trial:
    with table_at(file) as opened:
        return try_policy(model, opened, "truth", policy, fallbacks)


def labels(toy: Toy) -> list[str]:
    return [toy.names[index] for index in toy.scores(np.array(ROWS)).argmax(axis=1)]


def test_without_a_policy_every_row_is_answered(models: Path, tmp_path: Path) -> None:
    truths: list[object] = list(labels(FAMILIAR))
    truths[1] = next(name for name in FAMILIAR.names if name != truths[1])
    trial = tried(load(models, "familiar"), table(tmp_path / "rows.csv", FAMILIAR, truths), None)
    assert trial.own.tolist() == trial.loss.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert trial.actions == {"answer": 5}
    assert set(trial.doubt) == {"probability", "flip_probability", "volatility", "novelty"}
    assert trial.doubt["novelty"].argmax() in (1, 3, 4)
    assert trial.cost({"error": 7.0, "abstain": 1.0}) == 7.0


def test_what_is_withheld_costs_as_little_as_was_said(models: Path, tmp_path: Path) -> None:
    truths: list[object] = ["none"] * 5
    truths = [next(name for name in FAMILIAR.names if name != label) for label in labels(FAMILIAR)]
    policy = Policy({"novel": Rule("abstain"), "out_of_range": Rule("review")})
    trial = tried(load(models, "familiar"), table(tmp_path / "rows.csv", FAMILIAR, truths), policy)
    assert trial.actions == {"answer": 2, "abstain": 3}
    assert trial.of("abstain").tolist() == [False, True, False, True, True]
    assert trial.cost({"error": 10.0, "abstain": 1.0, "review": 2.0}) == 2 * 10.0 + 3 * 1.0 + 1 * 2.0


def test_a_fallback_is_paid_by_its_own_error(models: Path, tmp_path: Path) -> None:
    own, others = labels(FAMILIAR), labels(OTHER)
    truths: list[object] = [*own[:1], others[1], *own[2:]]
    policy = Policy({"novel": Rule("fallback", "other")})
    file = table(tmp_path / "rows.csv", FAMILIAR, truths)
    trial = tried(load(models, "familiar"), file, policy, other=load(models, "other"))
    expected = [
        float(given != truth) for given, truth in zip([own[0], others[1], own[2], *others[3:]], truths, strict=True)
    ]
    assert trial.loss.tolist() == expected
    assert trial.own.tolist() == [float(a != b) for a, b in zip(own, truths, strict=True)]
    assert tried(load(models, "familiar"), file, policy).actions == {"answer": 2, "abstain": 3}


def test_a_numbers_loss_is_its_distance_and_gaps_are_left_out(models: Path, tmp_path: Path) -> None:
    rows = REGRESSION.rows(4)
    values = REGRESSION.scores(rows)[:, 0]
    truths: list[object] = [values[0], values[1] + 2.0, "", "NA"]
    trial = tried(load(models, "amount"), table(tmp_path / "rows.csv", REGRESSION, truths, rows.tolist()), None)
    assert trial.own == pytest.approx([0.0, 2.0], abs=1e-5)
    assert trial.left_out == 2
    assert set(trial.doubt) == {"volatility"}


@pytest.mark.parametrize(
    ("toy", "truths", "said"),
    [
        (FAMILIAR, ["perhaps"] * 5, "label that familiar does not know"),
        (REGRESSION, ["many"] * 5, "no number"),
        (REGRESSION, [""] * 5, "no row has both"),
    ],
)
def test_truths_that_are_none_are_refused(
    models: Path, tmp_path: Path, toy: Toy, truths: list[object], said: str
) -> None:
    with pytest.raises(TableError, match=said):
        tried(load(models, toy.name), table(tmp_path / "rows.csv", toy, truths), None)


def test_a_table_without_the_target_says_what_it_has(models: Path, tmp_path: Path) -> None:
    with (
        table_at(table(tmp_path / "rows.csv", FAMILIAR, ["no"] * 5)) as opened,
        pytest.raises(TableError, match="has no column 'target'; it has age, dose, truth"),
    ):
        try_policy(load(models, "familiar"), opened, "target", None, {})


def test_errors_are_those_of_the_least_doubtful_rows() -> None:
    doubt, loss = np.array([0.3, 0.1, 0.2, 0.4]), np.array([1.0, 0.0, 0.0, 1.0])
    assert errors_by_coverage(doubt, loss) == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_equally_doubtful_rows_count_alike_in_any_order() -> None:
    doubt = np.array([0.5, 0.5, 0.1])
    for loss in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        assert errors_by_coverage(doubt, np.array(loss)) == pytest.approx([0.0, 0.25, 1 / 3])
