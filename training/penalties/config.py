"""Defines the configuration of the penalty on derivatives."""

from typing import Self

from pydantic import Field, model_validator

from chainzrule.service.artifact.interface import Task
from chainzrule.training.nn.link import link_of
from chainzrule.training.penalties.dreg import Schedule, ScheduleForm
from chainzrule.training.penalties.penalty import Derivative, Penalty
from chainzrule.training.section import Section

STRENGTH = 0.3
FISHER = 0.1


class DregConfig(Section):
    """The penalty on derivatives: the factor lambda over training, and which derivatives it is on.

    Factors that are given are absolute. Absent ones are in units of what there is to win (`as_penalty`).
    """

    strength: float | None = Field(
        default=None,
        ge=0,
        description=f"lambda at the first step; 0 switches the layers off; when absent {STRENGTH} for a regression, "
        "and for labels as much times their entropy over that of even labels",
    )
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
        f"predicted distribution changes with the input; when absent 0 for a regression, and for labels {FISHER} times "
        "their entropy over that of even labels",
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
        if self.final is not None and self.strength is None:
            raise ValueError("`final` goes with a `strength` to begin with")
        if self.layer_factors and min(self.layer_factors) < 0:
            raise ValueError("`layer_factors` must not be negative")
        if self.layer_factors and max(self.layer_factors) == 0:
            raise ValueError("some of `layer_factors` must be above 0; `strength = 0` switches the penalty off")
        surplus = sorted(self.model_fields_set & {"exact_width", "projections"})
        if surplus and self.derivative == "layer":
            raise ValueError(f'{", ".join(surplus)} can only be given with derivative = "accumulated"')
        return self

    def as_schedule(self, stake: float = 1.0) -> Schedule:
        """Returns lambda as a function of progress; see `as_penalty` for the stake."""
        start = STRENGTH * stake if self.strength is None else self.strength
        return Schedule(start, start if self.final is None else self.final, self.schedule)

    def as_penalty(self, task: Task, seed: int, stake: float = 1.0) -> Penalty | None:
        """Returns the penalty with seeded draws, or None where it is switched off.

        Args:
            task: decides the likelihood.
            seed: of the draws.
            stake: what there is to win, the loss of a model that looks at no feature, as a share of that loss where
                labels are even or a target is standardised. Factors that are not given shrink with it, because a
                penalty that is larger than any gain would leave nothing but a constant.
        """
        # A regression's Fisher trace is the squared slope itself; to penalise it costs accuracy on smooth functions.
        usual = FISHER * stake if link_of(task).has_labels else 0.0
        fisher = usual if self.fisher is None else self.fisher
        schedule = self.as_schedule(stake)
        if not schedule.start and not schedule.end and not fisher:
            return None
        return Penalty(
            schedule=schedule,
            derivative=self.derivative,
            output=self.penalise_output,
            factors=self.layer_factors,
            exact_width=self.exact_width,
            projections=self.projections,
            fisher=fisher,
            task=task,
            seed=seed,
        )
