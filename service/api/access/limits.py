"""Limits what each client may have: rows a second, and milliseconds a second in which models run for it."""

import math

from chainzrule.service.api.access.buckets import Buckets
from chainzrule.service.errors import ClientLimited


class ClientLimits:
    """Accounts for what clients have had. A client that was idle may have a second's worth at once.

    Args:
        rows: the rows a second that a client may send; 0 does not limit them.
        milliseconds: the milliseconds a second that models may run for it; 0 does not limit them.
    """

    def __init__(self, rows: float, milliseconds: float) -> None:
        self._rows = Buckets(rows, rows) if rows else None
        self._milliseconds = Buckets(milliseconds, milliseconds) if milliseconds else None

    def admit(self, client: str) -> None:
        """Raises `ClientLimited` where a client has had all that it may have for now."""
        for buckets, what in ((self._rows, "rows"), (self._milliseconds, "milliseconds of model runs")):
            wait = buckets.wait(client) if buckets is not None else 0.0
            if wait:
                raise ClientLimited(f"this client has had its {what} a second; send less", retry_after=math.ceil(wait))

    def charge_rows(self, client: str, rows: int) -> None:
        """Accounts for rows before they run; raises `ClientLimited` where others have used them up meanwhile."""
        if self._rows is not None:
            self.admit(client)
            self._rows.draw(client, rows)

    def charge_seconds(self, client: str, seconds: float) -> None:
        """Accounts for time in which a model has run."""
        if self._milliseconds is not None:
            self._milliseconds.draw(client, seconds * 1000.0)
