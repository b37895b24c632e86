"""What the tests noticed, in words and counts."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from tests.mutants.trial import Outcome

REQUIRED = 0.95


def share(outcomes: Sequence[Outcome]) -> float:
    """The share of faults that were killed; 1 where there are none."""
    return sum(outcome.killed for outcome in outcomes) / len(outcomes) if outcomes else 1.0


def room(outcome: Outcome) -> str:
    """The folder below `service/` or `training/`."""
    return "/".join(PurePath(outcome.mutation.file).parts[:2])


def report(outcomes: Sequence[Outcome], equivalent: int) -> str:
    """The counts by kind and by room, and the share."""
    parts = [_table(outcomes, "kind", lambda outcome: outcome.mutation.kind), _table(outcomes, "room", room)]
    killed = sum(outcome.killed for outcome in outcomes)
    verdict = f"{killed} of {len(outcomes)} faults killed: {share(outcomes):.1%}, and {REQUIRED:.0%} are required"
    late = [f"out of time: {_place(outcome)}" for outcome in outcomes if outcome.late]  # a hang, or a busy machine
    parts += ["\n".join(late)] if late else []
    return "\n\n".join([*parts, f"{verdict}; {equivalent} more are equivalent and were not tried"])


def survivor(outcome: Outcome, source: str) -> str:
    """Where a fault lies that nobody noticed, what it does, and who should have noticed it."""
    tests = " ".join(map(str, outcome.tests))
    return f"survived: {_place(outcome)}\n{outcome.mutation.diff(source)}\n  tests: {tests}\n"


def _place(outcome: Outcome) -> str:
    found = outcome.mutation
    return f"{found.file}:{found.line} {found.function} ({found.kind})"


def _table(outcomes: Sequence[Outcome], title: str, key: Callable[[Outcome], str]) -> str:
    tried = Counter(map(key, outcomes))
    killed = Counter(key(outcome) for outcome in outcomes if outcome.killed)
    lines = [f"{title:24} tried killed survived"]
    lines += [f"{name:24} {tried[name]:5} {killed[name]:6} {tried[name] - killed[name]:8}" for name in sorted(tried)]
    return "\n".join(lines)
