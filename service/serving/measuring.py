"""Whether a request's stability is computed, where that takes further runs of the model."""

import asyncio
import random

from chainzrule.service.errors import TooLarge
from chainzrule.service.serving.version import ServedModel

_random = random.Random()


def seconds_until(deadline: float) -> float:
    """How many seconds are left until a deadline by the running event loop's clock."""
    return deadline - asyncio.get_running_loop().time()


def check_measuring(served: ServedModel, rows: int, most: int, seconds: float, place: str = "instances") -> None:
    """Refuse to measure what would take more than `most` further rows, or more `seconds` than are left."""
    fault = _fault(served, rows, most, seconds)
    if fault is not None:
        raise TooLarge(fault, place)


def is_measured(served: ServedModel, rows: int, asked: bool, share: float, most: int, seconds: float) -> bool:
    """Whether a prediction's rows are measured: always where that costs nothing, on request, else by chance.

    Args:
        served: the model version.
        rows: how many rows the request has.
        asked: whether the request asks for measures whatever they take.
        share: the share of all other requests that is measured.
        most: further rows that one request may have run.
        seconds: what is left of the request's time.

    Raises:
        TooLarge: it was asked for and would take too much.
    """
    if served.model.probe is None:
        return True
    if asked:
        check_measuring(served, rows, most, seconds)
        return True
    return _random.random() < share and _fault(served, rows, most, seconds) is None


def _fault(served: ServedModel, rows: int, most: int, seconds: float) -> str | None:
    probe = served.model.probe
    if probe is None:
        return None
    if rows * probe.rows > most:
        return (
            f"measuring takes {probe.rows} further runs a row, at most {most} in all; "
            f"ask for at most {most // probe.rows} rows"
        )
    if served.measuring_cost(rows) > seconds:
        return "measuring would take longer than the request may; ask for fewer rows"
    return None
