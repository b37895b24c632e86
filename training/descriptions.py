"""Puts into a card what its columns and their levels mean, as the trainer's user says it."""

from collections.abc import Iterator, Mapping

from pydantic import Field

from chainzrule.service.artifact.features import CategoricalFeature, Feature
from chainzrule.service.artifact.part import Label, Text
from chainzrule.training.errors import ConfigError
from chainzrule.training.section import Section


class ColumnConfig(Section):
    """What people are told of a column. It shapes no model."""

    description: Text | None = None
    unit: Label | None = None
    levels: dict[Label, Text] = Field(default_factory=dict)


def described(features: tuple[Feature, ...], told: Mapping[str, ColumnConfig]) -> tuple[Feature, ...]:
    """Returns the features with what is told of them, by name.

    Raises:
        ConfigError: there is no such column or level, or the unit or the levels are not of the column's kind.
    """
    if unknown := sorted(set(told) - {feature.name for feature in features}):
        names = ", ".join(feature.name for feature in features[:20])
        raise ConfigError(f"columns.{unknown[0]}: there is no such column; there are {names}")
    return tuple(feature.model_copy(update=dict(_facts(feature, told.get(feature.name)))) for feature in features)


def _facts(feature: Feature, told: ColumnConfig | None) -> Iterator[tuple[str, object]]:
    if told is None:
        return
    if told.description is not None:
        yield "description", told.description
    if isinstance(feature, CategoricalFeature):
        if told.unit is not None:
            raise ConfigError(f"columns.{feature.name}.unit: the column is a category, which has no unit")
        if unknown := sorted(set(told.levels) - set(feature.levels)):
            levels = ", ".join(feature.levels[:20])
            raise ConfigError(f"columns.{feature.name}.levels: there is no level {unknown[0]!r}; there are {levels}")
        if told.levels:
            yield "meanings", told.levels
        return
    if told.levels:
        raise ConfigError(f"columns.{feature.name}.levels: the column is of numbers, which have no levels")
    if told.unit is not None:
        yield "unit", told.unit
