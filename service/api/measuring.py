"""Whether a request's stability is computed, where that takes further runs of the model."""

import asyncio
import random

from service.api.context import Context
from service.errors import TooLarge
from service.served import ServedModel

_random = random.Random()


def check_measuring(
    context: Context, served: ServedModel, rows: int, deadline: float, place: str = "instances"
) -> None:
    """Refuse to measure what would take more further rows than the setting `max_draws`, or than the time allows."""
    fault = _fault(context, served, rows, deadline)
    if fault is not None:
        raise TooLarge(fault, place)


def is_measured(context: Context, served: ServedModel, rows: int, asked: bool, deadline: float) -> bool:
    """Whether rows of `/predict` are measured: always where it costs nothing, on request, else a share of requests.

    Raises:
        TooLarge: it was asked for and would take too much.
    """
    if served.model.probe is None:
        return True
    if asked:
        check_measuring(context, served, rows, deadline)
        return True
    chosen = _random.random() < context.settings.measured_share
    return chosen and _fault(context, served, rows, deadline) is None


def _fault(context: Context, served: ServedModel, rows: int, deadline: float) -> str | None:
    probe, most = served.model.probe, context.settings.max_draws
    if probe is None:
        return None
    if rows * probe.rows > most:
        return (
            f"measuring takes {probe.rows} further runs a row, at most {most} in all; "
            f"ask for at most {most // probe.rows} rows"
        )
    if served.measuring_cost(rows) > deadline - asyncio.get_running_loop().time():
        return "measuring would take longer than the request may; ask for fewer rows"
    return None
