"""Chooses how a model's stability is computed: exact derivatives, central differences or noise draws."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from chainzrule.service.artifact.card import Role
from chainzrule.service.artifact.interface import MAX_PROBED_COLUMNS, Differences, Draws, Method
from chainzrule.service.errors import ArtifactError
from chainzrule.service.stability.differences import central_differences
from chainzrule.training.adopt.derivative import derivative_graphs
from chainzrule.training.adopt.graph import opened
from chainzrule.training.adopt.head import Head
from chainzrule.training.adopt.original import TOLERANCE, largest_difference
from chainzrule.training.adopt.steps import EXPLAINED, ROWS, Step, choose_step, disagreement, half_jumps, moving_columns
from chainzrule.training.columns import Columns
from chainzrule.training.errors import AdoptionError

# The largest disagreement of exact derivatives with differences, at the median and the 90th percentile of the rows.
EXACT, EXACT_KINKED = 1e-2, 0.1
LEAST_DRAWS, DRAWS_A_COLUMN = 512, 4

Matrix = NDArray[np.float32]
Scores = Callable[[Matrix], Matrix]


@dataclass(frozen=True)
class Choice:
    """Holds a chosen method with its graphs.

    Attributes:
        method: the best method that holds on the sample.
        graphs: the artifact's graphs, by role.
        how: what it does, in words.
        differences: the differences of method `finite_difference`, else None.
        draws: the draws of method `monte_carlo`, else None.
        jacobian_difference: how far exact derivatives differ from differences, as the card has it.
        notes: why no better method holds.
    """

    method: Method
    graphs: dict[Role, onnx.ModelProto]
    how: str
    differences: Differences | None = None
    draws: Draws | None = None
    jacobian_difference: float | None = None
    notes: tuple[str, ...] = ()


def choose_method(head: Head, operators: set[str], scores: Scores, x: Matrix, columns: Columns, seed: int) -> Choice:
    """Returns the best method that holds on the sample.

    Args:
        head: the graph with scores.
        operators: that the model's answer needs.
        scores: (rows, D) -> (rows, S), by the graph.
        x: (rows, D) the sample; NaN in gaps that the model takes.
        columns: describes its columns. Those without noise are left out of the checks, because nothing moves there.
        seed: the seed of the rows that are tried, and of draws.

    Raises:
        AdoptionError: there are no exact derivatives, and too many columns for differences or draws.
    """
    width, notes = x.shape[1], []
    chosen = x[np.random.default_rng(seed).permutation(len(x))[:ROWS]]
    rows = np.where(np.isnan(chosen), columns.mean.astype(np.float32), chosen)
    noise = columns.noise
    trees = sorted(kind for kind in operators if kind.startswith("TreeEnsemble"))
    if trees:
        notes.append(f"{trees[0]} is a step function: its derivative is 0 almost everywhere")
    else:
        step = choose_step(scores, rows, columns.std, noise, seed)
        try:
            return _exact(head, scores, rows, columns, step, chosen)
        except AdoptionError as error:
            notes.append(f"no exact derivative: {error}")
        if step.smooth and width <= MAX_PROBED_COLUMNS:
            return Choice(
                "finite_difference",
                {"model": head.graph},
                f"central differences at {step.step:g} standard deviations; with half the step nine rows in ten agree "
                f"within {step.disagreement:.2g} of their largest",
                differences=Differences(step=step.step),
                notes=tuple(notes),
            )
        if not step.smooth:
            notes.append(
                f"differences do not hold: they disagree by {step.disagreement:.2g} with those of half the step and "
                f"miss {step.unexplained:.2g} of what noise does"
            )
    if width == sum(block.stop - block.start for block in columns.blocks):
        raise AdoptionError(f"{'; '.join(notes)}; and the model takes categories alone, which no noise moves")
    if width > MAX_PROBED_COLUMNS:
        raise AdoptionError(
            f"{'; '.join(notes)}; and {width} columns are too many for differences or draws (at most "
            f"{MAX_PROBED_COLUMNS})"
        )
    count = max(LEAST_DRAWS, 2 * (DRAWS_A_COLUMN * int(np.count_nonzero(noise)) // 2))
    return Choice(
        "monte_carlo",
        {"model": head.graph},
        f"counted over {count} draws of the noise, the same for every row; slopes are of the output smoothed by the "
        "noise",
        draws=Draws(count=count, seed=seed),
        notes=tuple(notes),
    )


def _exact(head: Head, scores: Scores, rows: Matrix, columns: Columns, step: Step, gapped: Matrix) -> Choice:
    """Returns exact derivatives, once they are known to agree with differences, and to be finite beside gaps.

    Raises:
        AdoptionError: an operator has none, or they are not what differences say.
    """
    try:
        model, jacobian = derivative_graphs(head.graph, columns.noise, head.outputs)
        graph = opened(jacobian)
        found = graph.run(rows)["jacobian"]
        answered = opened(model).run(rows)["scores"]
        finite = np.isfinite(graph.run(gapped)["jacobian"]).all()
    except ArtifactError as error:
        raise AdoptionError(f"its graph does not load ({error})") from None
    except AdoptionError:
        raise
    except Exception as error:  # ONNX's and ONNX Runtime's errors share no narrower base
        raise AdoptionError(f"its graph cannot be made ({type(error).__name__})") from None
    if not largest_difference(answered, scores(rows)) <= TOLERANCE:
        raise AdoptionError("its graph does not give the same scores")
    if not finite:
        raise AdoptionError("it is not finite beside a gap")
    if step.unexplained > EXPLAINED:
        raise AdoptionError(f"a derivative misses {step.unexplained:.2g} of what noise does")
    moving = moving_columns(columns.noise)
    std, steps = columns.std[moving], np.zeros(columns.width, np.float32)
    steps[moving] = (step.step * std).astype(np.float32)
    differences = central_differences(scores, rows, moving, steps[moving])[..., moving]
    found, jumps = found[..., moving], half_jumps(scores, rows, steps)[..., moving]
    gap = disagreement(found * std, np.clip(found, differences - jumps, differences + jumps) * std)
    if not (np.median(gap) <= EXACT and np.quantile(gap, 0.9) <= EXACT_KINKED):
        raise AdoptionError(f"it is not what differences say: half of the rows are off by {np.median(gap):.2g} or more")
    return Choice(
        "analytic",
        {"model": model, "jacobian": jacobian},
        "exact derivatives, by the chain rule through the graph; at a kink (of a ReLU, a maximum) between its sides",
        jacobian_difference=float(np.median(gap)),
    )
