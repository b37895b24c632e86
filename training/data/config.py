"""Says where a training run's rows come from, and how a table is read."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.features import DateFormat
from chainzrule.service.artifact.interface import Task
from chainzrule.training.section import Section

Source = Literal["mnist", "breast-cancer", "diabetes", "digits8x8", "wine", "yelp-full", "table", "arrays"]
LATER = (
    "dates",
    "drop_unusable",
    "lenient",
    "weights",
    "balanced",
    "groups",
    "time",
    "encoding",
    "decimal",
    "thousands",
    "na",
    "not_na",
)


class DataConfig(Section):
    """Where the rows come from."""

    source: Source = Field(description="a known data set, or `table` for a CSV or Parquet file")
    path: Path | None = Field(
        default=None,
        description="the file of a table, the directory of MNIST's IDX files, or that of Yelp Review Full's two files",
    )
    vectors: Path | None = Field(
        default=None, description="yelp-full: word vectors in GloVe's text format, which are pooled over a text"
    )
    encoder: Path | None = Field(
        default=None, description="yelp-full: the folder of a sentence encoder, in place of the vectors"
    )
    target: str | None = Field(default=None, description="table: the column to predict")
    target_unit: str | None = Field(default=None, description="table: the unit of a regression's target")
    task: Task | None = Field(
        default=None, description="table: what to do with the target; read off its values when absent, never as ordinal"
    )
    levels: tuple[str, ...] = Field(
        default=(), description="table: an ordinal target's levels, lowest first; by size when they are numbers"
    )
    categorical: tuple[str, ...] = Field(default=(), description="table: columns of numbers to read as categories")
    numeric: tuple[str, ...] = Field(
        default=(), description="table: columns to read as numbers whatever they look like"
    )
    drop: tuple[str, ...] = Field(default=(), description="table: columns to leave out")
    units: dict[str, str] = Field(
        default_factory=dict, description="table: units of numeric columns, by name; numbers may be written with them"
    )
    dates: dict[str, DateFormat] = Field(
        default_factory=dict, description="table: how dates are written, by column: iso, ymd, dmy or mdy"
    )
    drop_unlabelled: bool = Field(default=False, description="table: leave out rows whose target is a gap")
    drop_unusable: bool = Field(default=False, description="table: leave out columns that cannot be used")
    lenient: bool = Field(
        default=False,
        description="table: have the service take gaps and levels that the table has not, further columns, missing "
        "ones as gaps, and numbers as texts",
    )
    weights: str | None = Field(default=None, description="table: the column that says how often each row counts")
    balanced: bool = Field(default=False, description="table: have rows count so that all labels are equally common")
    groups: str | None = Field(
        default=None,
        description="table: the column whose equal values, such as a patient's rows, are held out together",
    )
    time: str | None = Field(default=None, description="table: when a row was; the latest fifth is held out")
    encoding: str | None = Field(default=None, description="table: of a text file; UTF-8 when absent")
    decimal: Literal[".", ","] = Field(default=".", description="table: what stands before the decimals")
    thousands: Literal[",", ".", "'", "space"] | None = Field(
        default=None, description="table: what stands between thousands"
    )
    na: tuple[str, ...] = Field(default=(), description="table: further marks of a gap, such as ?")
    not_na: tuple[str, ...] = Field(default=(), description="table: usual marks of a gap that are none here")
    bend: bool = Field(
        default=True, description="read columns of heavy tails on a logarithmic scale, which is part of the graph"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        texts = sorted(self.model_fields_set & {"vectors", "encoder"})
        if texts and self.source != "yelp-full":
            raise ValueError(f"{', '.join(texts)} can only be given for yelp-full")
        if self.source == "table":
            if self.path is None or self.target is None:
                raise ValueError("a table needs path and target")
            if self.levels and self.task != "ordinal":
                raise ValueError('levels are those of an ordinal target; give task = "ordinal" with them')
            return self
        if self.path is not None and self.source not in ("mnist", "yelp-full"):
            raise ValueError(f"the data set {self.source} has no path")
        surplus = sorted(self.model_fields_set - {"source", "path", "vectors", "encoder", "bend"})
        if surplus:
            raise ValueError(f"{', '.join(surplus)} can only be given for a table")
        if self.vectors is not None and self.encoder is not None:
            raise ValueError("give either vectors or an encoder")
        return self

    @property
    def later(self) -> set[str]:
        """Returns the settings that came later and are not used, which leave a configuration's hash as it was."""
        usual = {name: DataConfig.model_fields[name].get_default(call_default_factory=True) for name in LATER}
        return {name for name, value in usual.items() if getattr(self, name) == value}
