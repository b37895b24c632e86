"""Small faults that a program can be given: each replaces a piece of a file's text, and leaves the rest as it was."""

import ast
import random
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from tests.mutants.operators import Finder


@dataclass(frozen=True, order=True)
class Mutation:
    """A fault: bytes `start` to `end` of `file` become `text`."""

    file: str
    start: int
    end: int
    text: str
    kind: str
    line: int
    function: str

    def apply(self, source: str) -> str:
        """The file's text with the fault."""
        content = source.encode()
        return (content[: self.start] + self.text.encode() + content[self.end :]).decode()

    def changed(self, source: str) -> tuple[str, str]:
        """The lines that the fault changes, before and after, as code alone: they name it wherever it moves."""
        content = source.encode()
        first = content.rfind(b"\n", 0, self.start) + 1
        last = content.find(b"\n", self.end)
        before, after = content[first : self.start].decode(), content[self.end : last].decode()
        original = before + content[self.start : self.end].decode() + after
        return _code(original), _code(before + self.text + after)

    def diff(self, source: str) -> str:
        """The fault as a diff with one line of context."""
        lines = unified_diff(source.splitlines(), self.apply(source).splitlines(), n=1, lineterm="")
        return "\n".join(list(lines)[3:])

    def is_another_program(self, source: str) -> bool:
        """Whether the file still parses with the fault, and to something else."""
        try:
            return ast.dump(ast.parse(self.apply(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False


def _code(text: str) -> str:
    """The text without comments, which the format sets apart by two spaces, and without layout."""
    return " ".join(" ".join(line.split("  # ")[0] for line in text.split("\n")).split())


def find(file: str, source: str) -> list[Mutation]:
    """Every fault that a file can be given, in the order of its text."""
    content = source.encode()
    return sorted(
        Mutation(
            file, fault.start, fault.end, fault.text, fault.kind, content.count(b"\n", 0, fault.start) + 1, function
        )
        for function, fault in Finder(content).within(ast.parse(source))
    )


def sample(sources: Mapping[str, str], count: int, seed: int) -> list[Mutation]:
    """So many faults of the files, the same for the same seed, in the order of the files.

    Every kind has the same chance, so that numbers, which are many, do not crowd out the rest.
    """
    kinds: dict[str, list[Mutation]] = {}
    for file in sorted(sources):
        for mutation in find(file, sources[file]):
            kinds.setdefault(mutation.kind, []).append(mutation)
    dice = random.Random(seed)
    for found in kinds.values():
        dice.shuffle(found)
    chosen: list[Mutation] = []
    while kinds and len(chosen) < count:
        kind = dice.choice(sorted(kinds))
        mutation = kinds[kind].pop()
        if not kinds[kind]:
            del kinds[kind]
        if mutation.is_another_program(sources[mutation.file]):
            chosen.append(mutation)
    return sorted(chosen)
