"""Puts the noise that a user declares into a card's features and its noise model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from chainzrule.service.artifact.features import CategoricalFeature, Feature, NumericFeature
from chainzrule.service.artifact.noise import NoiseGroup, NoiseModel, NoiseSource
from chainzrule.training.errors import ConfigError
from chainzrule.training.noise.config import ColumnNoise, Declared, GroupConfig, NoiseLawConfig

_DECLARED: TypeAdapter[dict[str, Declared]] = TypeAdapter(dict[str, Declared])


def declare(
    features: Sequence[Feature], x: NDArray[np.floating], noise: Mapping[str, Any], law: NoiseLawConfig
) -> tuple[tuple[Feature, ...], NoiseModel | None]:
    """Returns features with the noise that a user declares, and its law; None where that is independent and normal.

    Args:
        features: the card's, of a table.
        x: (rows, D) the training rows, encoded.
        noise: by feature, see `with_noise`.
        law: how it is distributed.

    Raises:
        ConfigError: the noise does not fit the features.
    """
    known = [feature.name for feature in features]
    if strange := [name for name in law.measured if name not in known]:
        raise ConfigError(
            f"noise_law.measured names '{strange[0]}', which is no feature; features are: {', '.join(known)}"
        )
    noisy = with_noise(features, noise, law.measured)
    model = noise_model(law, noisy, x)
    return straightened(noisy, model), model


def with_noise(
    features: Sequence[Feature], declared: Mapping[str, Any], measured: Sequence[str] = ()
) -> tuple[Feature, ...]:
    """Returns the features with the user's noise in place of the default.

    Args:
        features: the card's.
        declared: by feature, a standard deviation, a share such as `5%`, or what `ColumnNoise` holds.
        measured: the features whose noise comes from repeats.

    Raises:
        ConfigError: a name that is no feature, or a noise that does not fit it.
    """
    known = {feature.name: feature for feature in features}
    entries: dict[str, ColumnNoise] = {}
    for name, value in declared.items():
        if name not in known or (isinstance(known[name], CategoricalFeature) and not _is_misread(value)):
            raise ConfigError(_unknown(name, features))
        entries[name] = _entry(name, value)
    return tuple(
        _with(feature, entries.get(feature.name), "measured" if feature.name in measured else "declared")
        for feature in features
    )


def noise_model(config: NoiseLawConfig, features: Sequence[Feature], x: NDArray[np.floating]) -> NoiseModel | None:
    """Returns how the noise of features is distributed; None where it is independent and normal.

    Args:
        config: what the user declares.
        features: the card's, of a table.
        x: (rows, D) the training rows, encoded.

    Raises:
        ConfigError: a group that does not fit the features, or a correlation that no noise can have.
    """
    if config.law == "normal" and not config.groups:
        return None
    places: dict[str, int] = {}
    at = 0
    for feature in features:
        if isinstance(feature, NumericFeature):
            places[feature.name] = at
            at += 1
        else:
            at += len(feature.levels)
    for group in config.groups:
        for name in group.columns:
            if name not in places:
                raise ConfigError(
                    f"noise_law.groups names '{name}', which is no numeric feature; numeric features are: "
                    f"{', '.join(places) or 'none'}"
                )
    try:
        return NoiseModel(
            law=config.law,
            degrees_of_freedom=config.degrees_of_freedom,
            groups=tuple(
                NoiseGroup(
                    features=group.columns, correlation=_correlation(group, x[:, [places[n] for n in group.columns]])
                )
                for group in config.groups
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"noise_law: {first['msg'].removeprefix('Value error, ')}") from None


def straightened(features: Sequence[Feature], model: NoiseModel | None) -> tuple[Feature, ...]:
    """Returns the features with those on a straight scale whose noise is correlated.

    The graph computes correlated noise in raw units, which a logarithmic scale would make another for every row.
    """
    together = {name for group in (() if model is None else model.groups) for name in group.features}
    return tuple(
        feature.model_copy(update={"bend": None})
        if isinstance(feature, NumericFeature) and feature.bend is not None and feature.name in together
        else feature
        for feature in features
    )


def _unknown(name: str, features: Sequence[Feature]) -> str:
    numeric = [feature.name for feature in features if isinstance(feature, NumericFeature)]
    if any(feature.name == name for feature in features):
        return (
            f"noise is given for '{name}', whose levels have no size; say how often one is taken for another, "
            f'noise."{name}".misread = 0.02'
        )
    return (
        f"noise is given for '{name}', which is no numeric feature; numeric features are: "
        f"{', '.join(sorted(numeric)) or 'none'}"
    )


def _is_misread(value: Any) -> bool:
    return (
        "misread" in value
        if isinstance(value, Mapping)
        else isinstance(value, ColumnNoise) and value.misread is not None
    )


def _entry(name: str, value: Any) -> ColumnNoise:
    if isinstance(value, int | float) and not 0 <= value < np.inf:
        raise ConfigError(f"the noise of '{name}' must be a number >= 0, in the feature's own unit")
    try:
        entry = _DECLARED.validate_python({name: value})[name]
    except ValidationError:
        raise ConfigError(
            f"the noise of '{name}' must be a number in the feature's own unit, a share such as 5%, or any of sd, "
            "share, least, most and misread"
        ) from None
    if isinstance(entry, str):
        return ColumnNoise(sd=0.0, share=entry)
    return entry if isinstance(entry, ColumnNoise) else ColumnNoise(sd=entry)


def _with(feature: Feature, entry: ColumnNoise | None, source: NoiseSource) -> Feature:
    if isinstance(feature, CategoricalFeature):
        return feature if entry is None else _misread(feature, entry)
    if entry is None:
        return feature.model_copy(update={"noise_source": "default"}) if feature.noise else feature
    if entry.misread is not None:
        raise ConfigError(f"misread is given for '{feature.name}', which is a number; it is of categories' levels")
    share = None if entry.share is None else float(entry.share.strip().rstrip("%")) / 100.0
    changed = {
        "noise": feature.noise if entry.sd is None else entry.sd,
        "noise_share": share or None,
        "least": entry.least,
        "most": entry.most,
        "noise_source": source if entry.sd is not None or share else "default",
    }
    for name, bound, beyond in (("least", entry.least, "low"), ("most", entry.most, "high")):
        seen = getattr(feature, beyond)
        if bound is not None and (bound > seen if name == "least" else bound < seen):
            raise ConfigError(f"the {name} of '{feature.name}' is {bound:g}, but training saw {seen:g}")
    return feature.model_copy(update=changed)


def _misread(feature: CategoricalFeature, entry: ColumnNoise) -> CategoricalFeature:
    count, misread = len(feature.levels), entry.misread
    if entry.sd is not None or entry.share is not None or entry.least is not None or entry.most is not None:
        raise ConfigError(f"'{feature.name}' is a category; of its noise only misread can be said")
    if isinstance(misread, float):
        if not 0 <= misread < 1:
            raise ConfigError(f"misread of '{feature.name}' must be a chance from 0 to below 1")
        chances = np.full((count, count), misread / (count - 1))
        np.fill_diagonal(chances, 1.0 - misread)
        misread = tuple(map(tuple, chances.tolist()))
    try:
        return CategoricalFeature.model_validate({**feature.model_dump(), "confusion": misread})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"misread of '{feature.name}': {first}; its levels are {', '.join(feature.levels)}") from None


def _correlation(group: GroupConfig, x: NDArray[np.floating]) -> tuple[tuple[float, ...], ...]:
    count = len(group.columns)
    if isinstance(group.correlation, tuple):
        return group.correlation
    if group.correlation == "as columns":
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.clip(np.nan_to_num(np.corrcoef(x.astype(np.float64), rowvar=False)), -1.0, 1.0)
    else:
        found = np.full((count, count), group.correlation)
    np.fill_diagonal(found, 1.0)
    found = (found + found.T) / 2.0
    return tuple(map(tuple, found.tolist()))
