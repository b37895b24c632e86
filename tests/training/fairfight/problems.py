"""Small problems in the form that methods see."""

import torch

from chainzrule.training.fairfight.problems import Kind, Problem


def drawn(task: str, rows: int = 120, inputs: int = 4, kind: Kind = "table", side: int = 0) -> Problem:
    """Rows whose targets follow from a straight line: of two labels, three levels, or a number."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(rows, inputs, generator=generator)
    f = 2.0 * x[:, 0] - x[:, 1] + 0.3 * torch.randn(rows, generator=generator)
    y = {"classification": (f > 0).long(), "ordinal": (f > -1).long() + (f > 1).long(), "regression": f / f.std()}[task]
    parts = [
        (x[part], y[part])
        for part in (slice(0, rows // 2), slice(rows // 2, 3 * rows // 4), slice(3 * rows // 4, rows))
    ]
    scores = {"classification": 2, "ordinal": 2, "regression": 1}[task]
    levels = 3 if task == "ordinal" else 0
    return Problem("drawn", kind, task, scores, *parts, side=side, levels=levels)  # type: ignore[arg-type]
