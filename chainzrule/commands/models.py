"""Implements `chainzrule models`, which lists a repository's versions and whether the service would serve them."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from chainzrule.exits import Exit
from chainzrule.loaded import open_version
from chainzrule.service.artifact.listing import StoredVersion, list_repository
from chainzrule.service.artifact.store import CARD_FILE
from chainzrule.service.errors import ArtifactError, ServiceError

REFUSALS = (ServiceError,)

EXAMPLES = """\
examples:
  chainzrule models
  chainzrule models --models /srv/models --json

Every version is opened and checked as the service does it before it serves one: the card, the files' hashes, the
graphs' inputs and outputs, and the golden rows' answers. Where one would not load the reason stands below the table,
and the exit code is 1.
"""


@dataclass(frozen=True)
class Found:
    """Describes a version in the repository; what only its card could tell is None where the version would not load.

    Attributes:
        model: the model's name.
        version: the version's number.
        bytes: the size of all its files.
        made: when its card was written, in UTC.
        loads: whether the service would serve it.
        reason: why the service would not serve it; empty where it would.
        task: the task of the model.
        method: how its stability is obtained.
        features: the number of features that it takes.
        parameters: the number of its parameters.
    """

    model: str
    version: str
    bytes: int
    made: str | None
    loads: bool
    reason: str
    task: str | None = None
    method: str | None = None
    features: int | None = None
    parameters: int | None = None


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that lists the models."""
    parser.description = "List the models of a repository, and try whether each version would load."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list in place of a table")
    return run


def run(options: argparse.Namespace) -> int:
    """Prints the versions, and returns the exit code, which is 1 where a version would not load."""
    listing = list_repository(options.models)
    found = [examine(stored) for versions in listing.versions.values() for stored in versions]
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        print("\n".join(_table(found)))
    else:
        print(f"{options.models} holds no models; `chainzrule fit` publishes some")
    for place, reason in {**listing.unreadable, **listing.passed_over}.items():
        print(f"passed over: {place}: {reason}", file=sys.stderr)
    return Exit.FINE if all(one.loads for one in found) else Exit.FAILED


def examine(stored: StoredVersion) -> Found:
    """Opens a version as the service would; returns its description, or the reason why it would not load."""
    files = [path.lstat() for path in stored.path.iterdir()]
    size = sum(file.st_size for file in files)
    made = None
    if (stored.path / CARD_FILE).exists():
        written = (stored.path / CARD_FILE).stat().st_mtime
        made = datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")
    try:
        card = open_version(stored).card
    except ArtifactError as error:
        return Found(stored.name, stored.version, size, made, False, str(error))
    return Found(
        *(stored.name, stored.version, size, made, True, ""),
        task=card.task,
        method=card.method,
        features=sum(1 for _ in card.inputs()),
        parameters=card.provenance.parameters,
    )


def _table(found: list[Found]) -> Iterator[str]:
    """Yields the versions in columns, and below them the reasons why some would not load."""
    rows = [("model", "version", "task", "method", "features", "parameters", "size", "made", "loads")]
    rows += [
        (
            one.model,
            one.version,
            one.task or "?",
            one.method or "?",
            "?" if one.features is None else f"{one.features:,}",
            "?" if one.parameters is None else f"{one.parameters:,}",
            f"{one.bytes / 1e6:.1f} MB",
            (one.made or "?").partition("+")[0].replace("T", " "),
            "yes" if one.loads else "NO",
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from (f"\n{one.model} version {one.version}: {one.reason}" for one in found if not one.loads)
