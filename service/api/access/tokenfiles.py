"""Reads the tokens of a file or of a folder's files, and reads them again when they change.

What cannot be read is not taken for empty: the tokens that were read last stay valid, and the log says so. What can be
read is believed, even where it lists no token any more: then nobody is let in. Nothing here ever lets everybody in.
"""

import asyncio
import contextlib
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from chainzrule.service.api.access.tokens import Listed, Tokens, read_tokens
from chainzrule.service.errors import ServiceError
from chainzrule.service.fingerprint import Fingerprint, fingerprint

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
MAX_BYTES = 2**20  # of one file: some ten thousand tokens


@dataclass(frozen=True)
class _Held:
    fingerprint: Fingerprint
    listed: Listed


class TokenFiles:
    """Holds the tokens that are valid now.

    Attributes:
        tokens: the tokens of all files.
    """

    def __init__(self, place: Path) -> None:
        """Reads all files.

        Raises:
            ServiceError: a file cannot be read or has a fault, or no token is listed.
        """
        self.tokens: Tokens = {}
        self._place = place
        self._held: dict[Path, _Held] = {}
        self._seen: dict[Path, Fingerprint] = {}
        self._troubles: set[str] = set()
        self._looking = asyncio.Lock()
        try:
            files = _files(place)
            for file, state in files.items():
                self._held[file] = _Held(state, _read(file))
        except OSError as error:
            raise ServiceError(f"--token-file: the file cannot be read ({error.strerror})") from None
        self._seen = files
        for file, held in self._held.items():
            for fault in held.listed.faults:
                raise ServiceError(f"--token-file: {self._name(file)}{fault}")
        self._gather()
        if not self.tokens:
            raise ServiceError(f"--token-file: the {'folder lists no token' if place.is_dir() else 'file is empty'}")

    async def follow(self) -> None:
        """Looks every second whether a file has changed, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(settled=True)

    async def look(self, settled: bool = False) -> None:
        """Reads what has changed.

        Args:
            settled: leave a file that has changed since the last look for the next one, because somebody may be
                writing it.
        """
        async with self._looking:
            read = await asyncio.to_thread(self._changes, settled)
            if read is None:
                return
            before, self._held = self.tokens, read
            self._gather()
        if self.tokens == before:
            return
        log.info("tokens read again", extra={"tokens": len(self.tokens)})
        if not self.tokens:
            log.error("no token is listed any more, so nobody is let in", extra={"token_file": str(self._place)})

    def _changes(self, settled: bool) -> dict[Path, _Held] | None:
        """Returns what all files state, where that has changed; on a thread, because a file system may hang."""
        troubles: set[str] = set()
        try:
            files = _files(self._place)
        except OSError as error:
            self._complain({f"cannot be read ({error.strerror})"})
            return None
        read: dict[Path, _Held] = {}
        for file, state in files.items():
            held = self._held.get(file)
            unchanged = held is not None and held.fingerprint == state
            moving = settled and self._seen.get(file) != state
            if held is not None and (unchanged or moving):
                read[file] = held
            elif not moving:
                try:
                    read[file] = _Held(state, _read(file))
                except OSError as error:
                    troubles.add(f"{self._name(file)}cannot be read ({error.strerror})")
                    if held is not None:
                        read[file] = held
        self._seen = files
        for file, held in read.items():
            troubles.update(f"{self._name(file)}{fault}" for fault in held.listed.faults)
        self._complain(troubles)
        return read

    def _complain(self, troubles: set[str]) -> None:
        """Logs what is wrong with the files, each once until it is mended."""
        for trouble in sorted(troubles - self._troubles):
            log.error("token file: the rest stays valid", extra={"token_file": str(self._place), "reason": trouble})
        self._troubles = troubles

    def _gather(self) -> None:
        self.tokens = {digest: token for held in self._held.values() for digest, token in held.listed.tokens.items()}

    def _name(self, file: Path) -> str:
        """Returns the start of a sentence about a file, which needs its name only where there are several."""
        return "" if file == self._place else f"{file.name}: "


def _files(place: Path) -> dict[Path, Fingerprint]:
    """Returns the file, or a folder's files, with their fingerprints; hidden ones are those of Kubernetes' own."""
    if not place.is_dir():
        return {place: _fingerprint(place)}
    found = {}
    for file in sorted(place.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # it has just been removed
            if not file.name.startswith(".") and not file.is_dir():
                found[file] = _fingerprint(file)
    return found


def _fingerprint(file: Path) -> Fingerprint:
    found = file.stat()
    if stat.S_ISFIFO(found.st_mode):  # what a shell's <(...) gives can be read only once
        return (found.st_dev, found.st_ino, 0, 0, 0)
    return fingerprint(found)


def _read(file: Path) -> Listed:
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, f"it has over {MAX_BYTES} bytes", os.fspath(file))
    return read_tokens(content, file.name)
