"""Keeps the policies of a file, and reads them again when it changes.

A file that cannot be read, or has a fault, changes nothing: the policies that were read last stay in force.
"""

import asyncio
import logging
from pathlib import Path

from chainzrule.service.errors import ServiceError
from chainzrule.service.fingerprint import Fingerprint, fingerprint
from chainzrule.service.policy.policies import MAX_BYTES, Policies, read_policies

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class PolicyFile:
    """Holds the policies that are in force now.

    Attributes:
        policies: what the file says.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            ServiceError: the file cannot be read or has a fault.
        """
        self._path = path
        self._trouble: str | None = None
        self._looking = asyncio.Lock()
        try:
            self._seen: Fingerprint = fingerprint(path.stat())
            self._read_from: Fingerprint = self._seen
            self.policies = _read(path)
        except (OSError, ServiceError) as error:
            raise ServiceError(f"--policies: {_said(error)}") from None

    async def follow(self) -> None:
        """Looks every second whether the file has changed, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(settled=True)

    async def look(self, settled: bool = False) -> None:
        """Reads the file if it has changed.

        Args:
            settled: leave a file that has changed since the last look for the next one, because somebody may be
                writing it.
        """
        async with self._looking:
            try:
                found = await asyncio.to_thread(self._change, settled)
            except (OSError, ServiceError) as error:
                self._complain(_said(error))
                return
        if found is not None:
            self._trouble, self.policies = None, found
            log.info("policies read again", extra={"models": sorted(found.by_model)})

    def _change(self, settled: bool) -> Policies | None:
        """Returns what the file says, where it has changed; on a thread, because a file system may hang."""
        state = fingerprint(self._path.stat())
        moving = settled and state != self._seen
        self._seen = state
        if moving or state == self._read_from:
            return None
        self._read_from = state
        return _read(self._path)

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.error("policies: those read last stay in force", extra={"policies": str(self._path), "reason": trouble})
        self._trouble = trouble


def _read(path: Path) -> Policies:
    with path.open("rb") as opened:
        return read_policies(opened.read(MAX_BYTES + 1), path.parent)


def _said(error: OSError | ServiceError) -> str:
    return f"the file cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
