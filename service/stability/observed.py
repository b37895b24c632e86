"""Holds what is recorded of the rows of a run that count as traffic."""

from typing import Any, NamedTuple


class Observed(NamedTuple):
    """Holds the rows of a run that count as traffic, in arrays over those rows, or in plain numbers for a single row.

    Attributes:
        rows: how many there are.
        diagnosis: their measures.
        level: index into `verdict.VERDICTS`.
        outside: whether any feature lies outside its training range.
        outside_rows: how many rows have such a feature.
        novel: whether a row is novel.
        novel_rows: how many rows are.
        close_rows: how many rows are close calls.
        probability: that of the label; None where there are no labels.
        verdicts: how many rows have each verdict.
        out_of_range: how many rows lie outside the range of each feature; features without any such row are left out.
    """

    rows: int
    diagnosis: Any
    level: Any
    outside: Any
    outside_rows: int
    novel: Any
    novel_rows: int
    close_rows: int
    probability: Any
    verdicts: dict[str, int]
    out_of_range: dict[str, int]
