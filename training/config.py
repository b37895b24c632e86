"""Defines the configuration of a training run: one frozen, documented model, read from TOML."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from chainzrule.service.artifact.card import ModelName
from chainzrule.service.artifact.interface import Task
from chainzrule.training.dataconfig import DataConfig, Section
from chainzrule.training.errors import ConfigError
from chainzrule.training.nn.layers import MAX_DEGREE
from chainzrule.training.nn.link import link_of
from chainzrule.training.penalties.dreg import Schedule, ScheduleForm
from chainzrule.training.penalties.penalty import Derivative, Penalty

FISHER = 0.1
LBFGS_ROWS = 2000  # up to so many rows a full-batch step takes milliseconds; with more, AdamW is faster


class NetworkConfig(Section):
    """The network's shape."""

    hidden: tuple[int, ...] = Field(default=(32, 32), min_length=1, max_length=16, description="hidden layers' widths")
    degree: int = Field(default=3, ge=1, le=MAX_DEGREE, description="degree of every neuron's polynomial")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if min(self.hidden) < 1:
            raise ValueError("every hidden layer needs at least one neuron")
        return self


class DregConfig(Section):
    """The penalty on derivatives: the factor lambda over training, and which derivatives it is on."""

    strength: float = Field(default=0.3, ge=0, description="lambda at the first step; 0 switches the layers off")
    final: float | None = Field(default=None, ge=0, description="lambda at the last step; `strength` when absent")
    schedule: ScheduleForm = Field(default="constant", description="how lambda moves from `strength` to `final`")
    derivative: Derivative = Field(
        default="layer", description="layer: each layer's own Jacobian; accumulated: the product of all up to it"
    )
    penalise_output: bool = Field(default=False, description="whether the linear last layer has a term too")
    layer_factors: tuple[float, ...] = Field(
        default=(),
        description="what multiplies lambda in each hidden layer, first to last, then in a penalised last one; all 1 "
        "when absent",
    )
    fisher: float | None = Field(
        default=None,
        ge=0,
        description="factor of the trace of the input's Fisher information, beside the layers' terms: how fast the "
        f"predicted distribution changes with the input; when absent {FISHER} for labels, 0 for a regression",
    )
    exact_width: int = Field(
        default=4, ge=0, le=1024, description="accumulated: layers with at most so many neurons are computed exactly"
    )
    projections: int = Field(
        default=1, ge=1, le=64, description="accumulated: random directions a row that estimate the wider layers"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.schedule == "constant") != (self.final is None):
            raise ValueError("`final` goes with the schedules linear and cosine, and only with them")
        if self.layer_factors and min(self.layer_factors) < 0:
            raise ValueError("`layer_factors` must not be negative")
        if self.layer_factors and max(self.layer_factors) == 0:
            raise ValueError("some of `layer_factors` must be above 0; `strength = 0` switches the penalty off")
        surplus = sorted(self.model_fields_set & {"exact_width", "projections"})
        if surplus and self.derivative == "layer":
            raise ValueError(f'{", ".join(surplus)} can only be given with derivative = "accumulated"')
        return self

    def as_schedule(self) -> Schedule:
        """Returns lambda as a function of progress."""
        return Schedule(self.strength, self.strength if self.final is None else self.final, self.schedule)

    def as_penalty(self, task: Task, seed: int) -> Penalty | None:
        """Returns the penalty with seeded draws, or None where it is switched off."""
        # A regression's Fisher trace is the squared slope itself; to penalise it costs accuracy on smooth functions.
        usual = FISHER if link_of(task).has_labels else 0.0
        fisher = usual if self.fisher is None else self.fisher
        if not self.strength and not self.final and not fisher:
            return None
        return Penalty(
            schedule=self.as_schedule(),
            derivative=self.derivative,
            output=self.penalise_output,
            factors=self.layer_factors,
            exact_width=self.exact_width,
            projections=self.projections,
            fisher=fisher,
            task=task,
            seed=seed,
        )


class FitConfig(Section):
    """The optimiser's work: AdamW under a one-cycle learning rate, or L-BFGS on all rows at once."""

    optimiser: Literal["adamw", "lbfgs", "auto"] = Field(
        default="adamw", description=f"adamw, lbfgs (all rows at once), or auto: lbfgs up to {LBFGS_ROWS:,} rows"
    )
    epochs: int = Field(default=60, ge=1, description="passes over the rows, at most; with lbfgs, of five steps each")
    batch: int = Field(default=64, ge=1, description="adamw: rows a step")
    learning_rate: float = Field(default=3e-3, gt=0, description="adamw: the one-cycle schedule's peak")
    weight_decay: float = Field(
        default=1e-2, ge=0, description="adamw: decay of the weight matrices; lbfgs: factor of half their squared norm"
    )
    clip: float = Field(default=1.0, gt=0, description="adamw: largest norm of the gradient of a step")
    validation: float = Field(
        default=0.15,
        ge=0,
        le=0.5,
        description="share of the training rows that early stopping watches; 0 runs all epochs",
    )
    patience: int = Field(default=15, ge=1, description="epochs without a better validation loss before stopping")

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
    noise: dict[str, float] = Field(
        default_factory=dict, description="one standard deviation of measurement noise by column, in the column's unit"
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

    @property
    def sha256(self) -> str:
        """Returns the hash of everything that shapes the model, without where the data lie.

        The data's content has a hash of its own.
        """
        left_out: dict[str, Any] = {"data": {"path", "vectors", "encoder"} | self.data.later}
        if not self.constraints:  # keeps the hash that such a configuration had before constraints existed
            left_out["constraints"] = True
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
