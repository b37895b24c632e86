"""Answers a question for explanations: which inputs each prediction depends on, and what else was asked about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainzrule.service.artifact.features import CategoricalFeature
from chainzrule.service.errors import NonFiniteOutput, TooLarge
from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.asked import asked_noise
from chainzrule.service.serving.attributions import Attributions, attribute, check_attributions, encode_baseline
from chainzrule.service.serving.certify import Certificates, certify, check_certificates, reach
from chainzrule.service.serving.counterfactual import (
    Counterfactuals,
    check_counterfactuals,
    find_counterfactuals,
)
from chainzrule.service.serving.deadline import seconds_until
from chainzrule.service.serving.draws import Counted, check_draws, counted, sample
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.plan import make_plan
from chainzrule.service.serving.predict import check_measuring, require_finite, require_finite_derivatives
from chainzrule.service.serving.question import Allowance, Question
from chainzrule.service.serving.redraw import redraw
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.serving.version import ServedModel
from chainzrule.service.stability.certificate import flip_factor
from chainzrule.service.stability.constraints import Declared
from chainzrule.service.stability.noise import Noise
from chainzrule.service.stability.predictions import Measured
from chainzrule.service.stability.sensitivity import Sensitivity, sensitivity

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]

# These limit one question to about 10 MB of answer and some seconds of runs.
MAX_ENTRIES = 2**16
MAX_JACOBIAN = 2**20
MAX_SWITCHES = 2**15


@dataclass(frozen=True)
class Explanation:
    """Holds everything about the rows of one question; row r of the question is row r of each array.

    Attributes:
        share: the predictions.
        features: (rows, D) the encoded rows.
        jacobian: (rows, S, D) derivatives of the scores in raw units.
        layer_norms: (rows, L) norms of the derivative after each layer; L is 0 where they were not asked for.
        sensitivity: how much each column affects the reported output.
        switches: by categorical feature, (rows, levels) change of the reported output at each level.
        violations: each row's violated constraints; None where the card declares none.
        counted: each row's Monte-Carlo estimates; None where they were not asked for.
        certificates: what is guaranteed of the rows; None where it was not asked for.
        attributions: what each feature contributes; None where it was not asked for.
        counterfactuals: the smallest changes that change the answers; None where they were not asked for.
    """

    share: Share[Measured]
    features: Matrix
    jacobian: NDArray[np.float32]
    layer_norms: Matrix
    sensitivity: Sensitivity
    switches: dict[str, Floats]
    violations: list[list[Declared]] | None
    counted: list[Counted] | None
    certificates: Certificates | None
    attributions: Attributions | None = None
    counterfactuals: Counterfactuals | None = None

    def order(self, encoder: RowEncoder, maximum: int | None) -> list[list[int]]:
        """Returns each row's features, at most `maximum`, sorted by |effect| or by the largest switch of a category."""
        weight = np.abs(self.sensitivity.effect)[:, [encoder.start[name] for name in encoder.names]]
        for position, name in enumerate(encoder.names):
            if name in self.switches:
                weight[:, position] = np.abs(self.switches[name]).max(axis=1)
        ordered: list[list[int]] = np.argsort(-weight, axis=1, kind="stable")[:, :maximum].tolist()
        return ordered


async def explain(served: ServedModel, question: Question, allowance: Allowance, deadline: float) -> Explanation:
    """Returns the explanations of a question's rows; `deadline` is by the event loop's clock.

    Raises:
        InvalidInput: a row is not a valid input of this model, or the question does not fit the model.
        TooLarge: the answer would take too long or too much memory; this is checked before any work.
        NonFiniteOutput: the model's answer or its derivatives are not finite.
        NoBounds: certificates are asked for, and the version has no bounds graph.
    """
    _check_size(served, question)
    if question.draws:
        check_draws(served, len(question.instances), question.draws, allowance.draws, seconds_until(deadline))
    certified = question.radius is not None or question.box is not None
    if certified:
        check_certificates(served, question, allowance.certificates)
    if "attributions" in question.include:
        check_attributions(served, len(question.instances), allowance, seconds_until(deadline))
    plan = None
    if question.counterfactual is not None:
        check_counterfactuals(served, len(question.instances), allowance)
        plan = make_plan(served, question.counterfactual, question.noise_scale)
    features = served.model.rows.encode(question.instances)
    check_measuring(served, len(features), allowance, deadline)
    noise = None if question.noise is None else asked_noise(question.noise, served.model.rows)
    share = await served.predict(inputs_of(features, question.noise_scale, False, question.confidence), deadline)
    require_finite(share)
    share = await redraw(served, features, share, allowance, deadline, noise)
    jacobian = await served.differentiate(features, deadline)
    require_finite_derivatives(jacobian)
    # Layer norms are computed only on request, because they cost more than all the rest.
    layer_norms = jacobian[:, :0, 0]
    if "layers" in question.include:
        layer_norms = await served.layer_norms(features, deadline)
        require_finite_derivatives(layer_norms)
    part = slice(share.start, share.stop)
    estimates: list[Counted] | None = None
    switches = {
        feature.name: await _switch(served, feature, features, share, allowance.batch_rows, deadline)
        for feature in served.card.features
        if isinstance(feature, CategoricalFeature)
    }
    violations = served.violations(jacobian) if served.constraints.declared else None
    scores = share.result.scores[part]
    if question.draws:
        drawn = noise or served.model.rows.errors
        tallies = await sample(
            served,
            features,
            scores,
            drawn,
            question.noise_scale,
            question.draws,
            [question.seed] * len(scores),
            deadline,
        )
        estimates = [counted(tally, served.model.link.has_labels) for tally in tallies]
    attributions, counterfactuals = None, None
    if "attributions" in question.include:
        attributions = await _attribute(served, question, features, share, allowance, deadline)
    if plan is not None:
        own = scores.astype(np.float64)
        counterfactuals = await find_counterfactuals(served, plan, features, own, allowance, deadline)
    return Explanation(
        share,
        features,
        np.ascontiguousarray(jacobian),
        np.ascontiguousarray(layer_norms),
        _sensitivity(share.result, part, jacobian, noise or served.model.rows.errors, question.noise_scale),
        switches,
        violations,
        estimates,
        await _certify(served, question, features, share, jacobian, deadline) if certified else None,
        attributions,
        counterfactuals,
    )


def _sensitivity(
    batch: Measured, part: slice, jacobian: NDArray[np.float32], noise: Noise, noise_scale: float
) -> Sensitivity:
    scales, rows = np.full(len(jacobian), noise_scale), batch.inputs.features[part]
    if batch.slope is None:
        return sensitivity(batch.diagnosis.gradient[part], jacobian, noise, scales, rows)
    # Draws give the slopes of the reported output itself, so no gradient of the link is needed.
    slope = batch.slope[part]
    return sensitivity(np.ones((len(slope), 1)), slope[:, None], noise, scales, rows)


async def _attribute(
    served: ServedModel,
    question: Question,
    features: Matrix,
    share: Share[Measured],
    allowance: Allowance,
    deadline: float,
) -> Attributions:
    part, result = slice(share.start, share.stop), share.result
    return await attribute(
        served,
        features,
        encode_baseline(served, question.baseline, features),
        result.scores[part].astype(np.float64),
        result.label[part],
        allowance,
        deadline,
    )


async def _certify(
    served: ServedModel,
    question: Question,
    features: Matrix,
    share: Share[Measured],
    jacobian: NDArray[np.float32],
    deadline: float,
) -> Certificates:
    part = slice(share.start, share.stop)
    label = share.result.label[part]
    below, above = reach(question, served.model.rows, features)
    scores = share.result.scores[part]
    nearest = flip_factor(served.model.link, scores, jacobian, label, np.maximum(below, above))
    unit = 1.0 if question.radius is None else question.radius
    errors = served.model.rows.errors
    noise = question.noise_scale * errors.sd if errors.is_normal and not errors.bounded_off(features).any() else None
    return await certify(served, features, label, below, above, nearest, unit, noise, deadline)


def _check_size(served: ServedModel, question: Question) -> None:
    """Raises `TooLarge` for what would take too long or too much memory, before any work."""
    rows, names = len(question.instances), len(served.model.rows.names)
    if rows * min(names, question.top or names) > MAX_ENTRIES:
        raise TooLarge(f"would be over {MAX_ENTRIES} sensitivities; ask for fewer rows, or a smaller top", "instances")
    if "jacobian" in question.include and rows * served.card.scores * served.card.width > MAX_JACOBIAN:
        raise TooLarge(f"would have Jacobians of over {MAX_JACOBIAN} numbers; ask for fewer rows", "instances")
    levels = sum(len(feature.levels) for feature in served.card.features if isinstance(feature, CategoricalFeature))
    if rows * levels > MAX_SWITCHES:
        raise TooLarge(f"would take over {MAX_SWITCHES} switches of level; ask for fewer rows", "instances")


async def _switch(
    served: ServedModel,
    feature: CategoricalFeature,
    features: Matrix,
    share: Share[Measured],
    size: int,
    deadline: float,
) -> Floats:
    """Returns the (rows, levels) changes of the reported output if every row had each of the feature's levels."""
    count, start = len(feature.levels), served.model.rows.start[feature.name]
    switched = np.repeat(features, count, axis=0)
    switched[:, start : start + count] = np.tile(np.eye(count, dtype=np.float32), (len(features), 1))
    label = np.repeat(share.result.label[share.start : share.stop], count)
    outputs = []
    for begin in range(0, len(switched), size):
        end = begin + size
        moved = await served.predict(inputs_of(switched[begin:end], 1.0, observe=False), deadline)
        part = slice(moved.start, moved.stop)
        if not moved.result.finite[part].all():
            raise NonFiniteOutput("the model's answer to a switched level is not finite", "instances")
        outputs.append(served.model.link.output(moved.result.scores[part].astype(np.float64), label[begin:end]))
    changed = np.concatenate(outputs).reshape(len(features), count)
    return np.asarray(changed - share.result.value[share.start : share.stop, None])
