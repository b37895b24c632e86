"""Writes explanations as JSON. This is the only place where they are written."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from chainzrule.service.api.answers import Row, prediction_rows, region_labels
from chainzrule.service.api.bodies.steps import Steps
from chainzrule.service.api.decisions import described, withheld
from chainzrule.service.policy.policy import Decision
from chainzrule.service.serving.attributions import Attributions
from chainzrule.service.serving.certify import Certificates
from chainzrule.service.serving.counterfactual import Counterfactuals
from chainzrule.service.serving.draws import Counted
from chainzrule.service.serving.explain import Explanation
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.certificate import Ends
from chainzrule.service.stability.conformal import ListedRegion
from chainzrule.service.stability.lone.reference import percentile
from chainzrule.service.stability.montecarlo import Estimate


def explanation_body(
    served: ServedModel, question: Question, explanation: Explanation, decisions: Sequence[Decision] | None = None
) -> Steps[bytes]:
    """Writes the body that answers a question for explanations, one row a step.

    `decisions` are what a policy has decided about the rows; None where there is no policy.
    """
    explained = _Explained(served, question, explanation, decisions)
    rows: list[orjson.Fragment] = []
    for row, order in enumerate(explained.order()):
        rows.append(orjson.Fragment(orjson.dumps(explained.row(row, order), option=orjson.OPT_SERIALIZE_NUMPY)))
        yield
    return orjson.dumps(explained.content(rows))


_ATTRIBUTED = {"classification": "lead", "ordinal": "position", "regression": "value"}
_PREDICTED = ("label", "value", "probabilities")


class _Explained:
    """Writes one explanation."""

    def __init__(
        self,
        served: ServedModel,
        question: Question,
        explanation: Explanation,
        decisions: Sequence[Decision] | None,
    ) -> None:
        self._decisions = decisions
        self._card = served.card
        self._encoder = served.model.rows
        self._names = served.model.link.names(served.card.labels, served.card.target)
        self._question = question
        self._explanation = explanation
        share = explanation.share
        self._answers = prediction_rows(share.result, served.card.labels)[share.start : share.stop]
        self._counted = explanation.counted
        self._certificates: list[Row] | None = None
        if explanation.certificates is not None:
            regions = share.result.regions_within(explanation.certificates.conclusions, slice(share.start, share.stop))
            self._certificates = _certificates(explanation.certificates, regions, self._names, served.card.labels)

    def content(self, rows: list[orjson.Fragment]) -> Row:
        card = self._card
        content: Row = {
            "model": card.name,
            "version": card.version,
            "confidence": self._question.confidence,
            "predictions": rows,
        }
        if "jacobian" in self._question.include:
            content["jacobian_axes"] = {"scores": self._names, "columns": self._encoder.column_names}
        if "layers" in self._question.include:
            layers = self._explanation.layer_norms.shape[1]
            content["layers"] = [*(f"hidden_{n + 1}" for n in range(layers - 1)), "scores"]
            if card.reference.layer_norms is not None:
                content["layer_reference"] = [
                    {"mean": layer.mean, **{f"p{q}": layer.quantiles[q] for q in (50, 90, 99)}}
                    for layer in card.reference.layer_norms
                ]
        return content

    def order(self) -> list[list[int]]:
        return self._explanation.order(self._encoder, self._question.top)

    def row(self, row: int, order: list[int]) -> Row:
        explanation, include = self._explanation, self._question.include
        decision = None if self._decisions is None else self._decisions[row]
        is_withheld = decision is not None and decision.withholds
        answer = {
            **(withheld(self._answers[row]) if is_withheld else self._answers[row]),
            "method": self._card.method,
            "sensitivities": [self._entry(row, self._encoder.names[position]) for position in order],
        }
        if explanation.violations is not None:
            answer["violations"] = [
                {"feature": broken.feature, "declared": broken.direction} for broken in explanation.violations[row]
            ]
        if self._counted is not None:
            answer["monte_carlo"] = _counted(self._counted[row], self._question)
        if self._certificates is not None:
            answer["certificate"] = None if is_withheld else self._certificates[row]
        if explanation.attributions is not None:
            answer["attributions"] = None if is_withheld else self._attributions(explanation.attributions, row)
        if explanation.counterfactuals is not None:
            answer["counterfactual"] = None if is_withheld else self._counterfactual(explanation.counterfactuals, row)
        if decision is not None:
            answer["decision"] = described(decision)
        if "jacobian" in include:
            answer["jacobian"] = explanation.jacobian[row]
        if "layers" in include:
            norms, reference = explanation.layer_norms[row], self._card.reference.layer_norms
            answer["layer_norms"] = norms
            if reference is not None:
                answer["layer_percentiles"] = [
                    percentile(norm, layer) for norm, layer in zip(norms.tolist(), reference, strict=True)
                ]
        return answer

    def _attributions(self, found: Attributions, row: int) -> Row:
        names, parts = self._encoder.names, found.features[row]
        order = np.argsort(-np.abs(parts), kind="stable")
        listed = order[: self._question.top]
        over, labels = int(found.over[row]), self._card.labels
        return {
            "of": _ATTRIBUTED[self._card.task],
            "over": labels[over] if self._card.task == "classification" else None,
            "value": found.value[row].item(),
            "baseline_value": found.baseline_value[row].item(),
            "gap": found.gap[row].item(),
            "nodes": found.nodes[row].item(),
            "features": [
                {
                    "feature": names[position],
                    "value": self._value(names[position], self._explanation.features[row]),
                    "baseline": self._value(names[position], found.baseline[row]),
                    "attribution": parts[position].item(),
                }
                for position in listed
            ],
            "rest": parts[order[len(listed) :]].sum().item(),
        }

    def _counterfactual(self, found: Counterfactuals, row: int) -> Row:
        one, share = found.found[row], found.share
        answer: Row = {"distance": one.distance, "certified": one.certified, "reason": one.reason, "changes": []}
        if one.point is None:
            return {**answer, "prediction": None}
        before, unit = self._explanation.features[row], self._encoder.noise * self._question.noise_scale
        for name in dict.fromkeys(
            self._encoder.column_features[column] for column in np.flatnonzero(one.point != before)
        ):
            old, new = self._value(name, before), self._value(name, one.point)
            is_level = isinstance(new, str) or old is None or new is None
            sigmas = None if is_level else (new - old) / unit[self._encoder.start[name]]
            answer["changes"].append({"feature": name, "value": old, "to": new, "sigmas": sigmas})
        answer["changes"].sort(key=lambda change: -math.inf if change["sigmas"] is None else -abs(change["sigmas"]))
        predicted = prediction_rows(share.result, self._card.labels)[share.start + row]
        return {**answer, "prediction": {name: predicted[name] for name in _PREDICTED if name in predicted}}

    def _value(self, name: str, features: NDArray[np.float32]) -> Any:
        """Returns a feature's value in an encoded row; None where it is a gap, or parts of several levels."""
        start = self._encoder.start[name]
        if name not in self._explanation.switches:
            return None if np.isnan(features[start]) else features[start].item()
        levels = self._encoder.levels(name)
        whole = features[start : start + len(levels)].max() == 1.0
        return self._encoder.level(name, features) if whole else None

    def _entry(self, row: int, name: str) -> Row:
        encoder, explanation = self._encoder, self._explanation
        if name in explanation.switches:
            level = encoder.level(name, explanation.features[row])
            changes = zip(encoder.levels(name), explanation.switches[name][row].tolist(), strict=True)
            return {
                "feature": name,
                "value": level,
                "gradient": None,
                "effect": None,
                "share": None,
                "switch": {other: change for other, change in changes if other != level},
            }
        at, sensitivity = encoder.start[name], explanation.sensitivity
        return {
            "feature": name,
            "value": explanation.features[row, at].item(),
            "gradient": sensitivity.gradient[row, at].item(),
            "effect": sensitivity.effect[row, at].item(),
            "share": sensitivity.share[row, at].item(),
        }


def _counted(counted: Counted, question: Question) -> Row:
    answer = {"draws": question.draws, "seed": question.seed, **_estimate("volatility", counted.volatility)}
    if counted.flip_probability is not None:
        answer |= _estimate("flip_probability", counted.flip_probability)
    return answer


def _estimate(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_interval": [estimate.low, estimate.high]}


def _certificates(
    found: Certificates, regions: Sequence[ListedRegion], names: list[str], labels: tuple[str, ...]
) -> list[Row]:
    conclusions = found.conclusions
    parts: dict[str, list[Any]] = {"scores": _named(names, (found.bounds.lower, found.bounds.upper))}
    if conclusions.certain is not None:
        parts["label_is_certain"] = conclusions.certain.tolist()
    if found.largest is not None:
        parts["largest"] = found.largest
    if found.flips is not None:
        parts["flip_probability_bound"] = found.flips
    if conclusions.probabilities is not None:
        parts["probabilities"] = _named(labels, conclusions.probabilities)
    if conclusions.value is not None:
        parts["value"] = _ranges(conclusions.value)
    if conclusions.levels is not None:
        lowest, highest = conclusions.levels
        reached = zip(lowest.tolist(), highest.tolist(), strict=True)
        parts["labels"] = [list(labels[first : last + 1]) for first, last in reached]
    if labels:
        parts["set"] = [region_labels(region, labels) for region in regions]
    else:
        parts["interval"] = list(regions)
    return _rows(parts)


def _named(names: Sequence[str], ends: Ends) -> list[Row]:
    return [dict(zip(names, _ranges((low, high)), strict=True)) for low, high in zip(*ends, strict=True)]


def _ranges(ends: Ends) -> list[tuple[float, float]]:
    """Returns each row's minimum and maximum as a pair; values that are not finite become null in JSON."""
    low, high = ends
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _rows(members: dict[str, list[Any]]) -> list[Row]:
    """Returns one object for each row, from members that are lists over the rows."""
    return [dict(zip(members, row, strict=True)) for row in zip(*members.values(), strict=True)]
