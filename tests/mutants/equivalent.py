"""Faults that change nothing that anybody could notice, each with its reason: `equivalent.toml`."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutations import Mutation

LISTED = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Equivalent:
    """A fault by what it changes, so that the entry follows the lines wherever they move within their function."""

    file: str
    function: str
    original: str
    mutated: str
    reason: str

    def describes(self, mutation: Mutation, source: str) -> bool:
        """Whether this is the fault that is meant."""
        where = (mutation.file, mutation.function)
        return where == (self.file, self.function) and mutation.changed(source) == (self.original, self.mutated)


def read(path: Path = LISTED) -> list[Equivalent]:
    """The entries of the file."""
    return [Equivalent(**entry) for entry in tomllib.loads(path.read_text()).get("equivalent", ())]


def entry_for(mutation: Mutation, source: str, entries: Iterable[Equivalent]) -> Equivalent | None:
    """The entry that describes a fault, if any does."""
    return next((entry for entry in entries if entry.describes(mutation, source)), None)
