from chainzrule.training.data.errors import DataError, Problem, all_of


def test_an_error_is_one_problem_unless_it_has_several() -> None:
    error = DataError("column 'a' is odd; drop it", "--drop a", column="a")
    assert error.problems == (Problem("column 'a' is odd; drop it", ("--drop a",), "a"),)
    assert str(error) == "column 'a' is odd; drop it"
    several = all_of([*error.problems, Problem("b")])
    assert str(several) == "column 'a' is odd; drop it\nb"
    assert several.problems == (*error.problems, Problem("b"))
