"""Defines the configuration of a training run: one frozen, documented model, read from TOML."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from chainzrule.service.artifact.card import ModelName
from chainzrule.training.data.config import DataConfig
from chainzrule.training.descriptions import ColumnConfig
from chainzrule.training.errors import ConfigError
from chainzrule.training.nn.layers import MAX_DEGREE
from chainzrule.training.noise.config import Declared, NoiseLawConfig
from chainzrule.training.penalties.config import DregConfig
from chainzrule.training.section import Section

SMALL = 10_000  # rows below which settings are chosen by trying
LBFGS_ROWS = 10_000  # up to so many rows a full-batch step is quick; with more, AdamW is as good


class NetworkConfig(Section):
    """The network's shape."""

    hidden: tuple[int, ...] = Field(default=(32, 32), min_length=1, max_length=16, description="hidden layers' widths")
    degree: int = Field(default=3, ge=1, le=MAX_DEGREE, description="degree of every neuron's polynomial")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if min(self.hidden) < 1:
            raise ValueError("every hidden layer needs at least one neuron")
        return self


class FitConfig(Section):
    """The optimiser's work: AdamW under a one-cycle learning rate, or L-BFGS on all rows at once."""

    optimiser: Literal["adamw", "lbfgs", "auto"] = Field(
        default="auto",
        description=f"adamw, lbfgs (all rows at once), or auto: lbfgs up to {LBFGS_ROWS:,} rows; when absent auto, or "
        "adamw where one of its own keys is given",
    )
    epochs: int = Field(default=60, ge=1, description="passes over the rows, at most; with lbfgs, of five steps each")
    batch: int = Field(default=64, ge=1, description="adamw: rows a step")
    learning_rate: float = Field(default=3e-3, gt=0, description="adamw: the one-cycle schedule's peak")
    weight_decay: float = Field(
        default=1e-2,
        ge=0,
        description="adamw: decay of the weight matrices; lbfgs: factor of half their squared norm, for labels "
        "times their entropy over that of even labels",
    )
    clip: float = Field(default=1.0, gt=0, description="adamw: largest norm of the gradient of a step")
    validation: float = Field(
        default=0.15,
        ge=0,
        le=0.5,
        description="share of the training rows that early stopping watches; 0 runs all epochs",
    )
    patience: int = Field(default=15, ge=1, description="epochs without a better validation loss before stopping")
    select: bool = Field(
        default=False,
        description="leave out columns whose linear effect on the target is within chance, for wide tables",
    )

    @model_validator(mode="before")
    @classmethod
    def _adamw_where_its_keys_are(cls, content: Any) -> Any:
        if (
            isinstance(content, dict)
            and "optimiser" not in content
            and {"batch", "learning_rate", "clip"} & set(content)
        ):
            return {**content, "optimiser": "adamw"}
        return content

    def for_rows(self, rows: int) -> "FitConfig":
        """Returns this configuration with the optimiser chosen for so many training rows."""
        if self.optimiser != "auto":
            return self
        return self.model_copy(update={"optimiser": "lbfgs" if rows <= LBFGS_ROWS else "adamw"})


class Config(Section):
    """A training run."""

    name: ModelName = Field(description="the model's name in the repository")
    seed: int = Field(default=1, ge=0, le=2**31 - 1, description="of initialisation, shuffling, splits and golden rows")
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    dreg: DregConfig = DregConfig()
    fit: FitConfig = FitConfig()
    noise: dict[str, Declared] = Field(
        default_factory=dict,
        description="measurement noise by column: one standard deviation in the column's unit, a share of each value "
        "such as 5%, or a table of sd, share, least, most and misread (docs/noise.md)",
    )
    noise_law: NoiseLawConfig = NoiseLawConfig()
    tune: bool | None = Field(
        default=None,
        description=f"choose network, penalty and decay by rows held out; when absent, for tables of under {SMALL:,} "
        "rows, or a tenth as many of some label, whose configuration has no section network, dreg or fit",
    )
    budget: float = Field(default=120.0, gt=0, description="seconds that may be spent on trying settings, roughly")

    columns: dict[str, ColumnConfig] = Field(
        default_factory=dict,
        description="what people are told of a column, by name: its description, the unit of its numbers, "
        "what its levels mean",
    )
    constraints: dict[str, Literal["increasing", "decreasing"]] = Field(
        default_factory=dict,
        description="by column, what the value, or the second of two labels' probability, must do as the column rises: "
        "increasing or decreasing; declared in the card and watched, not enforced",
    )

    @model_validator(mode="after")
    def _a_factor_for_each_layer(self) -> Self:
        given, layers = len(self.dreg.layer_factors), len(self.network.hidden) + self.dreg.penalise_output
        if given not in (0, layers):
            raise ValueError(f"dreg.layer_factors has {given} numbers for {layers} penalised layers")
        return self

    def tunes(self, rows: int, table: bool) -> bool:
        """Returns whether settings are tried, for so many training rows, of a table or of something else."""
        if self.tune is not None:
            return self.tune and table
        return table and rows < SMALL and not {"network", "dreg", "fit"} & self.model_fields_set

    @property
    def sha256(self) -> str:
        """Returns the hash of everything that shapes the model, without where the data lie.

        The data's content has a hash of its own.
        """
        left_out: dict[str, Any] = {"data": {"path", "vectors", "encoder"} | self.data.later}
        left_out |= {"budget": True, "columns": True}
        # What such a configuration does not use leaves its hash as it was before there was such a thing.
        if not self.constraints:
            left_out["constraints"] = True
        if not self.tune:
            left_out["tune"] = True
        if self.noise_law == NoiseLawConfig():
            left_out["noise_law"] = True
        if not self.data.bend:
            left_out["data"].add("bend")
        if not self.fit.select:
            left_out["fit"] = {"select"}
        return hashlib.sha256(self.model_dump_json(exclude=left_out).encode()).hexdigest()


def read_config(path: Path) -> Config:
    """Reads a TOML file.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has a key or value that is not known; names the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from None
    return make_config(content, str(path))


def make_config(content: object, origin: str) -> Config:
    """Returns a configuration, once its values are checked.

    Args:
        content: nested dictionaries, as TOML gives them.
        origin: where they come from, for the message.

    Raises:
        ConfigError: names the key and what is wrong with it.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        message = (
            "is no known key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        )
        raise ConfigError(f"{origin}: {key}: {message}; `chainzrule fit --help` lists the keys") from None


def plain(value: Any) -> Any:
    """Returns a parameter as a plain Python value: a search over a grid passes numpy's numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
