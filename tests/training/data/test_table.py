import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainzrule.service.artifact.features import CategoricalFeature, DateSource, NumericFeature
from chainzrule.training.data.errors import DataError
from chainzrule.training.data.features import MISSING, OTHER
from chainzrule.training.data.table import read_table, table_dataset

ROWS = 60
RNG = np.random.default_rng(1)


def people(rows=ROWS):
    """A table with one column of every usable kind and a target of two texts."""
    rng = np.random.default_rng(rows)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows),
            "visits": rng.integers(0, 9, rows),
            "smoker": rng.integers(0, 2, rows),
            "member": rng.integers(0, 2, rows).astype(bool),
            "town": rng.choice(["Graz", "Bern", "Köln"], rows),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], rows), ["S", "M", "L"], ordered=True),
            "bought": np.where(np.arange(rows) % 3 == 0, "yes", "no"),
        }
    )


def feature(data, name):
    return next(feature for feature in data.features if feature.name == name)


def test_a_table_of_all_kinds():
    frame = people()
    data, notes = table_dataset(frame, "bought", units={"age": "years"})
    assert (data.task, data.labels, data.layout, data.test) == ("classification", ("no", "yes"), None, None)
    assert np.array_equal(data.train.y, (frame["bought"] == "yes").astype(np.int64))
    age, visits, smoker, member, town, size = data.features
    assert age == NumericFeature(
        name="age",
        unit="years",
        mean=frame["age"].mean(),
        std=frame["age"].std(ddof=0),
        low=float(np.float32(frame["age"].min())),
        high=float(np.float32(frame["age"].max())),
        noise=0.1 * frame["age"].std(ddof=0),
    )
    assert visits.noise > 0
    assert smoker.noise == 0
    assert member.levels == ("false", "true")
    assert town.levels == ("Bern", "Graz", "Köln")
    assert size.levels == ("S", "M", "L")
    assert data.train.x.shape == (ROWS, 3 + 2 + 3 + 3)
    assert np.array_equal(data.train.x[:, :3], frame[["age", "visits", "smoker"]].to_numpy(np.float32))
    assert np.array_equal(data.train.x[:, 4], frame["member"])
    assert [town.levels[place] for place in data.train.x[:, 5:8].argmax(axis=1)] == frame["town"].tolist()
    assert (data.train.x[:, 8:].sum(axis=1) == 1).all()
    assert notes[0] == "task classification, because the target 'bought' holds 2 categories"
    assert "column 'town': 3 categories" in notes


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_gives_the_same_rows_as_its_frame(tmp_path, suffix):
    frame = people().drop(columns="size").round({"age": 2})  # older pandas parses long decimals inexactly
    path = tmp_path / f"people.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    read, straight = table_dataset(read_table(path), "bought")[0], table_dataset(frame, "bought")[0]
    assert np.array_equal(read.train.x, straight.train.x)
    assert read.features == straight.features
    assert read.fingerprint == straight.fingerprint


@pytest.mark.parametrize(
    ("values", "task", "labels", "why"),
    [
        (np.arange(ROWS) * 1.5, "regression", (), "holds 60 distinct numbers"),
        (np.arange(ROWS), "regression", (), "holds 60 distinct numbers"),
        (np.arange(ROWS) % 2 + 0.5, "regression", (), "holds 2 distinct numbers"),
        (np.arange(ROWS) % 11, "classification", tuple(map(str, range(11))), "only 11 distinct whole numbers"),
        ((np.arange(ROWS) % 3 - 1).astype(float), "classification", ("-1", "0", "1"), "only 3 distinct whole numbers"),
        (np.arange(ROWS) % 2 == 0, "classification", ("false", "true"), "2 categories"),
        (pd.array(np.arange(ROWS) % 2 == 0, "boolean"), "classification", ("false", "true"), "2 categories"),
        (pd.array(np.arange(ROWS) % 2, "Int64"), "classification", ("0", "1"), "2 distinct whole numbers"),
    ],
)
def test_the_task_is_inferred_and_the_reason_is_told(values, task, labels, why):
    data, notes = table_dataset(people().assign(goal=values), "goal")
    assert (data.task, data.labels) == (task, labels)
    assert why in notes[0]
    assert data.train.y.dtype == (np.int64 if labels else np.float32)


def test_the_task_can_be_asked_for():
    frame = people().assign(stars=np.arange(ROWS) % 3)
    assert table_dataset(frame, "stars", "regression")[0].labels == ()
    data, notes = table_dataset(frame, "stars", "ordinal")
    assert (data.task, data.labels) == ("ordinal", ("0", "1", "2"))
    assert notes[0] == "task ordinal, as asked for"
    assert table_dataset(frame, "size", "ordinal")[0].labels == ("S", "M", "L")


def test_text_levels_take_the_order_that_is_given() -> None:
    frame = pd.DataFrame({"a": np.arange(60.0) % 7, "pain": ["mild", "none", "severe"] * 20})
    data, _ = table_dataset(frame, "pain", "ordinal", levels=["none", "mild", "severe"])
    assert data.labels == ("none", "mild", "severe")
    assert data.train.y[:3].tolist() == [1, 0, 2]
    assert data.scores == 2


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], "name them from low to high"),
        (["none", "mild"], "'severe', which is none of the levels"),
        (["none", "mild", "severe", "fatal"], "'fatal' of the target 'pain' occurs in no row"),
        (["none", "mild", "mild", "severe"], "repeat"),
    ],
)
def test_levels_that_do_not_fit_are_named(levels: list[str], message: str) -> None:
    frame = pd.DataFrame({"a": np.arange(60.0) % 7, "pain": ["mild", "none", "severe"] * 20})
    with pytest.raises(DataError, match=message):
        table_dataset(frame, "pain", "ordinal", levels=levels)


def test_gaps():
    frame = people()
    frame.loc[3:7, "age"] = None
    frame.loc[5, "town"] = None
    frame.loc[6, "size"] = None
    frame.loc[8, "town"] = " "
    frame["member"] = frame["member"].astype(object).mask(frame.index == 2)
    data, notes = table_dataset(frame, "bought")
    age, town = feature(data, "age"), feature(data, "town")
    assert age.fill == frame["age"].median()
    assert (age.mean, age.std) == pytest.approx((frame["age"].mean(), frame["age"].std(ddof=0)))
    assert (data.train.x[3:8, 0] == np.float32(age.fill)).all()
    assert town == CategoricalFeature(name="town", levels=("Bern", "Graz", "Köln", MISSING), fill=MISSING)
    assert feature(data, "size").levels == ("S", "M", "L", MISSING)
    assert feature(data, "member").levels == ("false", "true", MISSING)
    start = 3 + 3
    assert data.train.x[5, start : start + 4].tolist() == [0, 0, 0, 1]
    assert data.train.x[8, start : start + 4].tolist() == [0, 0, 0, 1]
    assert feature(data, "visits").fill is None
    assert any("'age': 5 gaps, filled with the median" in note for note in notes)
    assert "column 'town': 3 categories and 2 gaps" in notes


def test_options():
    frame = people().assign(code=np.arange(ROWS) % 4, year=np.arange(1900, 1900 + ROWS))
    data, _ = table_dataset(
        frame, "bought", categorical=["code"], numeric=["year", "member"], drop=["town", "size"], target_unit="x"
    )
    assert feature(data, "code").levels == ("0", "1", "2", "3")
    assert feature(data, "year").mean == frame["year"].mean()
    assert feature(data, "member").noise == 0
    assert {feature.name for feature in data.features}.isdisjoint({"town", "size"})
    assert data.target_unit == "x"


def test_numbers_in_disguise_are_read_when_their_types_are_sound():
    frame = people().assign(price=[Decimal(row) / 4 for row in range(ROWS)], mix=[1, 2.5, 3] * (ROWS // 3))
    frame["mix"] = frame["mix"].astype(object)
    data, _ = table_dataset(frame, "bought", drop=["age"])
    assert feature(data, "price").high == (ROWS - 1) / 4
    assert feature(data, "mix").mean == pytest.approx(6.5 / 3)


def test_from_2000_rows_on_a_fifth_is_kept_apart_and_statistics_leave_it_alone():
    frame = people(2000)
    frame.loc[::10, "age"] = None
    data, _ = table_dataset(frame, "bought", seed=3)
    assert (len(data.train), len(data.test)) == (1600, 400)
    assert data.test.y.mean() == pytest.approx(data.train.y.mean(), abs=1 / 400)
    again, other = table_dataset(frame, "bought", seed=3)[0], table_dataset(frame, "bought", seed=4)[0]
    assert np.array_equal(again.test.x, data.test.x)
    assert not np.array_equal(other.test.x, data.test.x)
    assert other.fingerprint == data.fingerprint

    def visits(x):
        return x[:, 1].astype(float)

    assert feature(data, "visits").mean == pytest.approx(visits(data.train.x).mean(), rel=1e-12)
    assert feature(data, "visits").mean != visits(np.vstack([data.train.x, data.test.x])).mean()
    rows = np.vstack([data.train.x, data.test.x])
    assert np.array_equal(np.sort(visits(rows)), np.sort(frame["visits"]))
    assert table_dataset(people(1999), "bought")[0].test is None


def refused(frame, *parts, target="bought", **options):
    with pytest.raises(DataError) as error:
        table_dataset(frame, target, **options)
    for part in parts:
        assert part in str(error.value)


DAYS = pd.date_range("2020-01-01", periods=ROWS)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ([None] * ROWS, ("no value at all", "drop it")),
        ([float("nan")] * ROWS, ("no value at all", "drop it")),
        ([""] * ROWS, ("no value at all", "drop it")),
        ([*RNG.normal(size=ROWS - 2), np.inf, -np.inf], ("2 numbers that are infinite", "row 59")),
        ([*RNG.normal(size=ROWS - 1), 1e39], ("1 numbers that are beyond float32", "row 60")),
        (np.array([*range(ROWS - 1), 10**400], object), ("infinite",)),
        ([f"name {row}" for row in range(ROWS)], ("another text in every row", "drop it")),
        (range(1, ROWS + 1), ("counts the rows", "numeric")),
        (range(ROWS), ("counts the rows", "drop it")),
        ([f"level {row // 2}" for row in range(300)], ("150 levels", "like free text")),
        (["x" * 300, "y"] * (ROWS // 2), ("longer than 256",)),
        (DAYS - DAYS[0], ("dates", "days since")),
        ([datetime.time(row % 24) for row in range(ROWS)], ("dates or times",)),
        (DAYS.strftime("%m/%d/%y"), ("dates", "days since")),
        (["1", "2", "unknown"] * (ROWS // 3), ("mixes numbers and text ('unknown')", "categorical")),
        ([1, 2, "unknown"] * (ROWS // 3), ("mixes number and text", "categorical")),
        ([1, True, None] * (ROWS // 3), ("mixes boolean and number",)),
        (["1,200.5", "3,000", "7"] * (ROWS // 3), ("numbers written as text ('1,200.5')", "plainly")),
        (["12%", "5 %"] * (ROWS // 2), ("numbers written as text ('12%')", "plainly")),
        ([[1], [2]] * (ROWS // 2), ("type list",)),
        ([1 + 2j, 3 + 1j] * (ROWS // 2), ("complex", "real")),
        (1.7e9 + RNG.normal(0, 60, ROWS), ("float32 moves in steps of 128", "subtract an offset")),
        (1e-42 * RNG.normal(size=ROWS), ("too little for float32", "unit")),
    ],
)
def test_an_unusable_column_is_refused_by_name(values, parts):
    frame = people(len(values))
    frame["odd one"] = pd.Series(values)
    refused(frame, "column 'odd one'", *parts)


def test_dates_become_their_parts():
    data, notes = table_dataset(people().assign(seen=DAYS.strftime("%d.%m.%Y")), "bought")
    names = [found.name for found in data.features]
    assert names[-3:] == ["seen.year", "seen.month", "seen.weekday"]
    assert feature(data, "seen.month").date == DateSource(column="seen", format="dmy", part="month")
    assert feature(data, "seen.month").noise == 0
    assert "column 'seen': dates (dmy), which become the numbers of their parts" in notes
    assert data.train.x[:, -1].tolist() == [float(day.isoweekday()) for day in DAYS]
    either = people().assign(seen=["01/02/2020", "03/04/2020"] * (ROWS // 2))
    refused(either, "column 'seen'", "cannot be told apart")
    data, _ = table_dataset(either, "bought", dates={"seen": "mdy"})
    assert set(data.train.x[:, -2].tolist()) == {1.0, 3.0}


def test_columns_with_units_are_numbers_and_few_texts_with_numbers_levels():
    weights = people().assign(weight=[f"{row % 20 + 40} kg" for row in range(ROWS)])
    with pytest.raises(DataError, match="holds numbers written as text") as caught:
        table_dataset(weights, "bought")
    assert caught.value.problems[0].flags == ("--unit weight=kg", "--categorical weight", "--drop weight")
    stars = people().assign(stars=[f"{row % 5} st" for row in range(ROWS)])
    assert len(feature(table_dataset(stars, "bought")[0], "stars").levels) == 5


def test_copies_of_the_target_are_refused_and_what_it_was_made_from_is_noted():
    frame = people().assign(spent=RNG.normal(size=ROWS))
    frame["again"] = 5 * frame["spent"] + 1
    frame["much"] = frame["spent"] > 0
    refused(frame, "column 'again' is a copy of the target 'spent'", target="spent")
    _, notes = table_dataset(frame, "spent", drop=["again"])
    assert any(note.startswith("column 'much' may give the target away") for note in notes)
    data, notes = table_dataset(frame, "spent", drop_unusable=True)
    assert "again" not in [found.name for found in data.features]
    assert any(note.startswith("left out: column 'again' is a copy") for note in notes)
    assert feature(table_dataset(frame, "spent", numeric=["again"])[0], "again").std > 0


def test_rows_may_be_weighted_grouped_and_ordered():
    frame = people(200).assign(w=np.arange(1.0, 201.0), who=np.arange(200) // 4, day=np.arange(200)[::-1] // 2)
    data, _ = table_dataset(frame, "bought", weights="w", groups="who", time="day")
    assert {"w", "who", "day"}.isdisjoint(found.name for found in data.features)
    assert (len(data.train), len(data.test)) == (160, 40)
    np.testing.assert_array_equal(data.train.weights, np.arange(41.0, 201.0))
    assert data.train.groups.tolist() == (np.arange(40, 200) // 4).tolist()
    data, _ = table_dataset(people(), "bought", balanced=True)
    sums = [data.train.weights[data.train.y == label].sum() for label in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])
    refused(frame, "weights, groups and time: no column is named 'whom'", "who", groups="whom")
    refused(frame, "target and cannot be dropped or be anything else", groups="bought")
    refused(frame.assign(who=1), "there are 1 groups; 5 are needed", groups="who")


def test_labels_that_differ_by_blanks_or_case_are_noted():
    frame = people().assign(answer=["yes", "Yes", "yes ", "no"] * (ROWS // 4))
    _, notes = table_dataset(frame, "bought")
    assert any("'yes', 'Yes', 'yes ' differ by blanks or capital letters only" in note for note in notes)


def test_distinct_whole_numbers_are_an_id_only_under_such_a_name():
    numbers = RNG.permutation(10_000)[:ROWS]
    for name in ("Unnamed: 0", "index", "id", "ID", "customer_id", "customerId", "CustomerID", "row key"):
        refused(people().assign(**{name: numbers}), f"column '{name}'", "name of an id")
    for name in ("width", "identity", "keyboard"):
        assert feature(table_dataset(people().assign(**{name: numbers}), "bought")[0], name).noise > 0


def test_all_unusable_columns_are_named_at_once():
    frame = people().assign(first=1j, second=DAYS - DAYS[0], third=np.arange(ROWS))
    refused(frame, "column 'first'", "column 'second'", "column 'third'")


def test_mixtures_and_codes_are_levels_when_named_so():
    frame = people().assign(code=["1", "2", "3+"] * (ROWS // 3), other=[1, "1", None] * (ROWS // 3))
    refused(frame.drop(columns="other"), "column 'code'")
    data, _ = table_dataset(frame.drop(columns="other"), "bought", categorical=["code"])
    assert feature(data, "code").levels == ("1", "2", "3+")
    data, _ = table_dataset(frame, "bought", categorical=["code", "other"])
    assert feature(data, "other").levels == ("1", MISSING)


def test_a_categorical_column_keeps_the_rules_for_levels():
    refused(people(300).assign(code=np.arange(300) // 2), "column 'code'", "150 levels", categorical=["code"])
    refused(people().assign(code=np.arange(ROWS)), "column 'code'", "another text", categorical=["code"])


def test_text_cannot_be_numeric():
    refused(people(), "column 'town'", "holds text", numeric=["town"])


TWO = np.arange(ROWS) % 2


@pytest.mark.parametrize(
    ("values", "task", "parts"),
    [
        (["a"] * ROWS, None, ("one class only ('a')",)),
        ([3] * ROWS, None, ("one class only ('3')",)),
        ([3.5] * ROWS, None, ("same value in every row",)),
        (["a"] * 56 + ["b"] * 4, None, ("fewer than 5 rows: 'b' (4)", "merge")),
        ([1] * 56 + [2] * 4, None, ("'2' (4)", "ask for a regression")),
        (np.arange(ROWS) // 4, "classification", ("60 rows for 15 classes", "needs 5 rows")),
        ([f"t{row}" for row in range(ROWS)], None, ("60 rows for 60 classes",)),
        (np.arange(ROWS), "classification", ("60 rows for 60 classes",)),
        (np.arange(325) % 65, "classification", ("65 classes", "64")),
        ([None] * ROWS, None, ("no value at all",)),
        (["a", "b", None, ""] * 15, None, ("30 gaps", "row 3", "drop_unlabelled")),
        ([np.inf, *np.arange(1.5, ROWS)], None, ("infinite", "row 1")),
        ([0.1] * ROWS, "regression", ("same value in every row",)),
        (1.7e9 + RNG.normal(0, 60, ROWS), None, ("float32", "subtract an offset")),
        (1e30 * RNG.normal(0, 1, ROWS), None, ("standard deviation", "e+", "change the target's unit")),
        (1e-30 * RNG.normal(0, 1, ROWS), None, ("standard deviation", "e-", "change the target's unit")),
        (1e-200 * RNG.normal(0, 1, ROWS), None, ("standard deviation", "change the target's unit")),
        (DAYS, None, ("dates",)),
        (["1", "2", "?"] * 20, None, ("mixes numbers and text ('?')",)),
        (["a", "b"] * 30, "regression", ("holds text",)),
        (["a", "b", "c"] * 20, "ordinal", ("without an order", "ordered category")),
        (TWO, "ordinal", ("two labels", "classification")),
        (np.arange(9) * 1.5, "regression", ("9 rows", "needs 10")),
    ],
)
def test_an_unusable_target_is_refused_by_name(values, task, parts):
    frame = people(len(values))
    frame["goal"] = pd.Series(values)
    refused(frame, "'goal'", *parts, target="goal", task=task)


def test_rows_without_a_target_are_left_out_when_asked_for():
    frame = people().assign(bought=["yes", "no", None] * (ROWS // 3))
    data, notes = table_dataset(frame, "bought", drop_unlabelled=True)
    assert len(data.train) == 40
    assert "20 rows without a target left out" in notes


def test_unknown_names_are_answered_with_close_ones():
    refused(people(), "target: no column is named 'Bougth'", "did you mean bought?", target="Bougth")
    refused(people(), "target: no column is named 'zzz'", "there are age, visits", target="zzz")
    for option in ("categorical", "numeric", "drop"):
        refused(people(), f"{option}: no column is named 'twon'", "town", **{option: ["twon"]})
    refused(people(), "units: no column is named 'agee'", "age", units={"agee": "years"})


def test_options_that_contradict_each_other():
    refused(people(), "'bought' is the target and cannot be dropped", drop=["bought"])
    refused(people(), "'age' cannot be both", categorical=["age"], numeric=["age"])


def test_tables_without_columns_rows_or_names():
    refused(people()[["bought"]], "no column besides the target 'bought'")
    refused(people().iloc[:0], "no rows")
    refused(people().set_axis(["age", "age", "smoker", "member", "town", "size", "bought"], axis=1), "column 'age'")
    refused(people().rename(columns={"age": ""}), "needs a name")
    refused(people().rename(columns={"age": "a" * 257}), "column 'aaa", "needs a name")


def test_column_names_become_text():
    data, _ = table_dataset(people().rename(columns={"age": 0}), "bought")
    assert data.features[0].name == "0"


def test_rare_levels_are_taken_together():
    frame = people(400)
    frame["town"] = [f"town {min(row, 90 - row % 3)}" for row in range(400)]
    data, notes = table_dataset(frame, "bought")
    town = feature(data, "town")
    assert len(town.levels) == 64
    assert (town.other, town.fill) == (OTHER, None)
    assert {"town 88", "town 89", "town 90"} <= set(town.levels)
    assert "column 'town': 91 categories; the 28 rarest are taken together as (other)" in notes


def test_a_lenient_data_set_takes_gaps_and_levels_that_it_has_not_seen():
    frame = people()
    strict, _ = table_dataset(frame, "bought")
    data, _ = table_dataset(frame, "bought", lenient=True)
    assert (strict.lenient, data.lenient) == (False, True)
    np.testing.assert_array_equal(data.train.x, strict.train.x)
    assert feature(strict, "age").fill is None
    assert feature(data, "age").fill == np.median(frame["age"])
    commonest = frame["town"].value_counts().index[0]
    assert frame["town"].value_counts()[feature(data, "town").fill] == frame["town"].value_counts()[commonest]
    assert feature(data, "town").other == feature(data, "town").fill


def test_a_column_constant_where_it_is_trained_has_no_influence():
    frame = people(2000)
    data, _ = table_dataset(frame, "bought", seed=1)
    kept_apart = set(data.test.x[:, 0])
    frame["rare"] = [int(np.float32(age) in kept_apart) for age in frame["age"]]
    data, notes = table_dataset(frame, "bought", seed=1)
    assert "column 'rare' is constant in the rows to train on, and has no influence" in notes
    rare = feature(data, "rare")
    assert (rare.low, rare.high, rare.noise) == (0, 0, 0)
    refused(people().assign(age=1, visits=2)[["age", "visits", "bought"]], "no column varies")
    _, notes = table_dataset(people().assign(**{f"c{place}": 1 for place in range(20)}), "bought")
    assert sum("constant" in note for note in notes) == 1
    assert any(note.startswith("20 columns are constant in the rows to train on, and have no") for note in notes)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["a", "b", "1", "2.5", "1,5", "2020-01-01", "nan", "inf"]),
)


@settings(max_examples=150, deadline=None)
@given(
    column=st.lists(cells, min_size=20, max_size=20) | st.lists(st.floats(width=32), min_size=20, max_size=20),
    target=st.lists(cells, min_size=20, max_size=20) | st.just(["a", "b"] * 10),
    names=st.sets(st.sampled_from(["column", "other"])),
)
def test_any_table_gives_finite_rows_or_a_data_error(column, target, names):
    frame = pd.DataFrame({"column": pd.Series(column), "other": np.arange(20) % 3, "target": pd.Series(target)})
    try:
        data, _ = table_dataset(frame, "target", categorical=names, drop_unlabelled=True)
    except DataError:
        return
    assert np.isfinite(data.train.x).all()
    assert np.isfinite(data.train.y).all()
    assert len(data.train.x) == len(data.train.y)
