"""Predicts a table, a chunk at a time, and writes its rows with their predictions and stability."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainzrule.cells import column_of, values_of
from chainzrule.loaded import Answer, LoadedModel
from chainzrule.service.errors import NonFiniteOutput
from chainzrule.service.runtime.spelling import Spelling
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE
from chainzrule.tables.table import Chunk, Kind, Table, TableError, Writer

CHUNK_ROWS = 1024
_PLAIN = Spelling()
NAMED = 20  # the most bad rows whose reasons are kept


@dataclass
class Tally:
    """Counts a table's rows by their outcome.

    Attributes:
        rows: how many rows were predicted.
        verdicts: how many of them have each verdict.
        bad: how many rows could not be predicted.
        reasons: why rows could not be predicted, by their number, for the first `NAMED` of them.
    """

    rows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    reasons: dict[int, str] = field(default_factory=dict)

    def enter(self, faults: Mapping[int, str]) -> None:
        """Counts rows that could not be predicted."""
        self.bad += len(faults)
        for line, reason in sorted(faults.items())[: NAMED - len(self.reasons)]:
            self.reasons[line] = reason


def added_columns(model: LoadedModel, table: Table, prefix: str = "") -> dict[str, Kind]:
    """Returns the columns that are added after a table's own, named after the members of the model's answers.

    Raises:
        TableError: the table lacks a column that the model needs, or already has one that would be added.
    """
    missing = [feature.name for feature in model.card.inputs() if column_of(feature, table.names) is None]
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise TableError(
            f"the table has no column {', '.join(missing[:10])}{more}, which {model.card.name} needs; "
            f"it has {', '.join(table.names[:20])}"
        )
    # Several answers are needed, because a member may be null in some of them.
    examples = [_flat(answer) for answer in model.golden_answers()]
    added = {prefix + name: _kind([example[name] for example in examples]) for name in examples[0]}
    if both := [name for name in added if name in table.names]:
        raise TableError(
            f"the table has a column '{both[0]}', which the answer's would hide; give a --prefix for those"
        )
    return added


def predict_table(
    model: LoadedModel,
    table: Table,
    writer: Writer,
    noise_scale: float = 1.0,
    confidence: float = DEFAULT_CONFIDENCE,
    skip_bad_rows: bool = False,
    spelling: Spelling = _PLAIN,
    show: Callable[[float, int], None] = lambda share, rows: None,
) -> Tally:
    """Predicts every row and writes it with its answer.

    Rows that cannot be predicted are never written. Unless they are to be skipped, nothing more is predicted or written
    after the first of them: the rest is only read, so that all of them are counted.

    Args:
        model: the model that predicts.
        table: the open table.
        writer: writes the rows.
        noise_scale: multiple of the card's noise at which to measure.
        confidence: with which sets and intervals are to hold the truth.
        skip_bad_rows: whether to continue after rows that cannot be predicted.
        spelling: how the table spells numbers and gaps.
        show: called with the fraction of the file that has been read, 0 to 1, and the number of rows.
    """
    tally = Tally()
    seen = 0
    for chunk in table.chunks(CHUNK_ROWS):
        matrix, faults = model.encode(instances_of_chunk(chunk, table.names, model, spelling))
        places = [place for place in range(len(chunk.lines)) if place not in faults]
        tally.enter(chunk.strays | {chunk.lines[place]: reason for place, reason in faults.items()})
        if not tally.bad or skip_bad_rows:
            _write(model.answer(matrix, noise_scale, confidence), chunk, places, writer, tally)
        seen += len(chunk.lines)
        show(table.share, seen)
    return tally


def _write(
    found: Sequence[Answer | NonFiniteOutput], chunk: Chunk, places: list[int], writer: Writer, tally: Tally
) -> None:
    """Writes the rows that have an answer, and counts the others."""
    refused = {place: one.detail for place, one in zip(places, found, strict=True) if isinstance(one, NonFiniteOutput)}
    tally.enter({chunk.lines[place]: reason for place, reason in refused.items()})
    answers = [_flat(one) for one in found if not isinstance(one, NonFiniteOutput)]
    if not answers:
        return
    writer.write(
        chunk,
        [place for place in places if place not in refused],
        {name: [answer[name] for answer in answers] for name in answers[0]},
    )
    tally.rows += len(answers)
    tally.verdicts.update(answer["verdict"] for answer in answers)


def instances_of_chunk(
    chunk: Chunk, names: Sequence[str], model: LoadedModel, spelling: Spelling = _PLAIN
) -> Sequence[Any] | NDArray[np.float64]:
    """Returns the model's columns of a chunk, as the service's encoder takes them."""
    features = list(model.card.inputs())
    sources = [column_of(feature, names) or feature.name for feature in features]
    columns = [
        values_of(chunk.column(name), feature, name, spelling) for feature, name in zip(features, sources, strict=True)
    ]
    if all(set(map(type, column)) == {float} for column in columns):
        return np.array(columns, dtype=np.float64).T
    return list(map(list, zip(*columns, strict=True)))


def _flat(answer: Answer) -> dict[str, Any]:
    """Returns an answer without its nesting: `probabilities.LABEL`, and each member of `stability` by its own name."""
    return dict(_members(answer))


def _members(members: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if name == "interval":
            ends = (None, None) if value is None else value
            yield from zip(("interval.low", "interval.high"), ends, strict=True)
        elif name == "novelty" and value is None:
            yield from _members({"novelty": {"percentile": None, "features": None}})
        elif isinstance(value, dict):
            yield from _members(value, prefix if name == "stability" else f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _kind(values: Sequence[Any]) -> Kind:
    kinds = {type(value) for value in values}
    return "texts" if list in kinds else "text" if str in kinds else "number"
