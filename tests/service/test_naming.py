"""Names in errors: what was meant by one that is not known, and how much of a request's own names is repeated."""

import itertools
import time

import pytest

from chainzrule.service.naming import LONGEST, LONGEST_LIST, MOST_LISTED, hint, listed, nearest, shown

KNOWN = ("bmi", "mean radius", "blood_pressure", "s1")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("BMI", "bmi"),
        ("mean_radius", "mean radius"),
        ("MeanRadius", "mean radius"),
        ("blood-presure", "blood_pressure"),
        ("bim", "bmi"),
        ("glucose", None),
        ("", None),
        ("bmi" * LONGEST, None),
    ],
)
def test_a_name_is_found_by_what_people_write_for_it(given: str, meant: str | None) -> None:
    assert nearest(given, KNOWN) == meant
    assert hint(given, KNOWN) == ("" if meant is None else f" (did you mean {meant}?)")


def test_another_spelling_counts_before_a_name_that_is_only_like_it() -> None:
    assert nearest("Pixel 1_2", ("pixel_1_1", "pixel_12", "pixel_1_2")) == "pixel_12"
    assert nearest("dosis", ("dose", "Dosis")) == "Dosis"


def test_many_and_long_names_take_no_time() -> None:
    begin = time.process_time()
    assert nearest("b" * LONGEST, [f"{'a' * 200}{number}" for number in range(20_000)]) is None
    assert nearest("b", (f"{'a' * 2000}{number}" for number in itertools.count())) is None
    assert shown(("a" * 100 for _ in itertools.count()), 10**6) == "1000000 whose names cannot be shown"
    assert time.process_time() - begin < 2


def test_few_short_and_printable_names_are_shown() -> None:
    assert shown(["a"], 1) == "'a'"
    assert shown(["a", "b b"], 2) == "'a', 'b b'"
    assert shown("abcdef", 6) == "'a', 'b', 'c' and 3 more"
    assert shown(["a\n", "b", "\u202ec", "d" * (LONGEST + 1)], 4) == "'b' and 3 more"
    assert shown(["a\x00"], 1) == "one whose name cannot be shown"
    assert shown(["\x1b[2J", "a" * 100], 2) == "2 whose names cannot be shown"


def test_as_many_known_names_are_listed_as_fit() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""
    assert listed([str(number) for number in range(40)]).endswith(f"{MOST_LISTED - 1} and {40 - MOST_LISTED} more")
    assert listed(["a" * 150, "b" * 150]) == "a" * 150 + " and 1 more"
    assert len(listed(["a" * 60] * 100)) < LONGEST_LIST + 60
    assert listed(["a" * 256]) == "a" * 256
