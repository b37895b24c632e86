from dataclasses import replace
from pathlib import Path

import pytest

from chainzrule.training.config import Config, make_config, read_config
from chainzrule.training.errors import ConfigError
from chainzrule.training.penalties.dreg import Schedule
from chainzrule.training.penalties.penalty import Penalty

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
TABLE = {"name": "m", "data": {"source": "table", "path": "rows.csv", "target": "y"}}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_configurations_are_valid_and_named_after_their_model(path: Path) -> None:
    assert read_config(path).name == path.stem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = ", "is no valid TOML"),
        ('name = "m"\nnmae = 1\n[data]\nsource = "mnist"', "nmae: is no known key"),
        ('name = "m"\n[data]\nsource = "mnist"\n[fit]\nepoch = 3', "fit.epoch: is no known key"),
        ('name = "m"\n[data]\nsource = "mnits"', "data.source: Input should be 'mnist'"),
        ('name = "a/b"\n[data]\nsource = "mnist"', "name: String should match"),
        ('name = "m"', "data: Field required"),
        ('name = "m"\n[data]\nsource = "table"', "data: a table needs path and target"),
        ('name = "m"\n[data]\nsource = "mnist"\ntarget = "y"', "data: target can only be given for a table"),
        ('name = "m"\n[data]\nsource = "wine"\npath = "x"', "data: the data set wine has no path"),
        ('name = "m"\n[data]\nsource = "wine"\nvectors = "x"', "data: vectors can only be given for yelp-full"),
        (
            'name = "m"\n[data]\nsource = "table"\npath = "x"\ntarget = "y"\nencoder = "x"',
            "data: encoder can only be given for yelp-full",
        ),
        ('name = "m"\n[data]\nsource = "yelp-full"\ntarget = "y"', "data: target can only be given for a table"),
        ('name = "m"\n[data]\nsource = "mnist"\n[network]\ndegree = 6', "network.degree: Input should be less than"),
        (
            'name = "m"\n[data]\nsource = "mnist"\n[network]\nhidden = []',
            "network.hidden: Tuple should have at least 1",
        ),
        ('name = "m"\n[data]\nsource = "mnist"\n[network]\nhidden = [0]', "network: every hidden layer needs"),
        ('name = "m"\n[data]\nsource = "mnist"\n[dreg]\nschedule = "linear"', "dreg: `final` goes with"),
        (
            'name = "m"\n[data]\nsource = "mnist"\n[fit]\nlearning_rate = inf',
            "fit.learning_rate: Input should be a finite",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_config(tmp_path / "run.toml")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_are_tried_where_few_rows_and_no_section_say_nothing_of_them() -> None:
    plain = make_config(TABLE, "test")
    assert plain.tunes(9_999, table=True)
    assert not plain.tunes(10_000, table=True)
    assert not plain.tunes(500, table=False)
    assert not make_config(TABLE | {"fit": {"epochs": 3}}, "test").tunes(500, table=True)
    asked = make_config(TABLE | {"fit": {"epochs": 3}, "tune": True}, "test")
    assert asked.tunes(10**6, table=True)
    assert not make_config(TABLE | {"tune": False}, "test").tunes(500, table=True)
    assert asked.sha256 != make_config(TABLE | {"fit": {"epochs": 3}}, "test").sha256


def test_the_optimiser_is_adamw_where_its_own_keys_are_given() -> None:
    def optimiser(**fit: object) -> str:
        return make_config(TABLE | {"fit": fit}, "test").fit.optimiser

    assert optimiser() == optimiser(epochs=3, weight_decay=0.1) == "auto"
    assert optimiser(batch=32) == optimiser(learning_rate=1e-3) == optimiser(clip=2) == "adamw"
    assert optimiser(batch=32, optimiser="auto") == "auto"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml cannot be read: No such file"):
        read_config(tmp_path / "none.toml")


def test_every_key_is_described() -> None:
    def walk(model: type) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation)
            else:
                assert field.description, name

    walk(Config)


def test_the_hash_covers_the_recipe_and_not_the_place() -> None:
    config = make_config(TABLE, "test")
    elsewhere = make_config(TABLE | {"data": TABLE["data"] | {"path": "copy.csv"}}, "test")  # type: ignore[operator]
    assert config.sha256 == elsewhere.sha256
    assert config.sha256 != make_config(TABLE | {"seed": 2}, "test").sha256


def test_the_penalty_that_is_asked_for() -> None:
    dreg = {"derivative": "accumulated", "penalise_output": True, "layer_factors": [1, 0.5, 0], "projections": 2}
    penalty = make_config(TABLE | {"dreg": dreg}, "test").dreg.as_penalty("ordinal", seed=7)
    expected = Penalty(Schedule(0.3, 0.3), "accumulated", True, (1, 0.5, 0), 4, 2, 0.1, "ordinal", seed=7)
    assert penalty == expected
    both = make_config(TABLE | {"dreg": dreg | {"fisher": 0.2}}, "test").dreg.as_penalty("ordinal", seed=7)
    assert both == replace(expected, fisher=0.2)
    off = {"strength": 0}
    assert make_config(TABLE | {"dreg": off}, "test").dreg.as_penalty("regression", seed=7) is None
    off["fisher"] = 0
    assert make_config(TABLE | {"dreg": off}, "test").dreg.as_penalty("ordinal", seed=7) is None
    assert make_config(TABLE | {"dreg": off | {"fisher": 1}}, "test").dreg.as_penalty("ordinal", seed=7) is not None


@pytest.mark.parametrize(
    ("dreg", "message"),
    [
        ({"layer_factors": [1.0]}, "dreg.layer_factors has 1 numbers for 2 penalised layers"),
        ({"layer_factors": [1.0, -1.0]}, "dreg: `layer_factors` must not be negative"),
        ({"layer_factors": [1.0, 1.0], "penalise_output": True}, "2 numbers for 3 penalised layers"),
        ({"layer_factors": [0.0, 0.0]}, "dreg: some of `layer_factors` must be above 0"),
        ({"projections": 2}, "dreg: projections can only be given with"),
        ({"derivative": "accumulated", "projections": 0}, "dreg.projections"),
        ({"derivative": "second"}, "dreg.derivative"),
    ],
)
def test_a_penalty_that_makes_no_sense_is_refused(dreg: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(TABLE | {"dreg": dreg}, "test")


def test_the_penalty_schedule() -> None:
    constant = make_config(TABLE | {"dreg": {"strength": 0.2}}, "test").dreg.as_schedule()
    falling = make_config(
        TABLE | {"dreg": {"strength": 0.2, "final": 0, "schedule": "cosine"}}, "test"
    ).dreg.as_schedule()
    assert (constant(0), constant(1)) == (0.2, 0.2)
    assert (falling(0), falling(1)) == (0.2, 0)


def test_constraints_are_part_of_what_shapes_the_card_and_none_leave_the_hash_alone() -> None:
    base = {"name": "t", "data": {"source": "diabetes"}}
    plain, empty = make_config(base, "test"), make_config(base | {"constraints": {}}, "test")
    declared = make_config(base | {"constraints": {"bmi": "increasing"}}, "test")
    assert plain.sha256 == empty.sha256 != declared.sha256
    with pytest.raises(ConfigError, match=r"constraints\.bmi"):
        make_config(base | {"constraints": {"bmi": "up"}}, "test")


def test_straight_columns_and_unselected_ones_leave_the_hash_as_it_was() -> None:
    straight = make_config(TABLE | {"data": TABLE["data"] | {"bend": False}}, "test")  # type: ignore[operator]
    assert straight.sha256 != make_config(TABLE, "test").sha256
    assert '"bend"' in make_config(TABLE, "test").model_dump_json()
    chosen = make_config(TABLE | {"fit": {"select": True}}, "test")
    assert chosen.sha256 != make_config(TABLE | {"fit": {"select": False}}, "test").sha256
    assert make_config(TABLE | {"budget": 5}, "test").sha256 == make_config(TABLE, "test").sha256


def test_what_people_are_told_of_columns_shapes_no_model() -> None:
    told = make_config(
        TABLE | {"columns": {"age": {"description": "at the first visit", "levels": {"1": "x"}}}}, "test"
    )
    assert told.columns["age"].description == "at the first visit"
    assert told.sha256 == make_config(TABLE, "test").sha256
    with pytest.raises(ConfigError, match=r"columns.age.meaning: is no known key"):
        make_config(TABLE | {"columns": {"age": {"meaning": "x"}}}, "test")
