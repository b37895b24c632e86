"""The problems that methods are compared on, as rows."""

from pathlib import Path

from chainzrule.training.fairfight.problems import load


def test_the_rows_are_the_files_own(text_data: Path) -> None:
    problem = load("yelp5", text_data, seed=7)
    assert [len(part[0]) for part in (problem.train, problem.validation, problem.test)] == [500, 150, 200]
    assert (problem.inputs, problem.scores, problem.levels) == (16, 4, 5)
    assert problem.train[0].mean(dim=0).abs().max() < 1e-5
    assert (problem.unordered.task, problem.unordered.scores) == ("classification", 5)
