"""`chainzrule policy`: tries a policy on a table whose truth is known, before a server follows it."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from chainzrule.exits import Exit
from chainzrule.loaded import LoadedModel, load
from chainzrule.progress import Progress
from chainzrule.service.errors import ServiceError
from chainzrule.service.policy.policies import MAX_BYTES, read_policies
from chainzrule.service.policy.policy import ACTIONS, Policy
from chainzrule.tables.files import table_at
from chainzrule.tables.table import TableError
from chainzrule.trial import SHARES, WITHHELD, Trial, errors_by_coverage, try_policy

REFUSALS = (ServiceError, TableError)
COSTS = ("error", *ACTIONS[2:])

EXAMPLES = """\
examples:
  chainzrule policy patients.csv --model patients --target diagnosis
  chainzrule policy patients.csv --model patients --target diagnosis --policies policies.toml --plot policy.svg
  chainzrule policy loans.csv --model credit --target default --policies policies.toml --cost error=500 review=20

FILE needs rows that the model was not trained on: of those that it knows, it errs less. The table at the end says what
share of the answers would be wrong if the most doubtful rows were withheld, by each measure alone; --plot draws it.

A policy file:
  [models.patients]
  novel = "abstain"              # give no answer to rows unlike those of training
  close_call = "review"          # answer, and have a person look at it
  unstable = "fallback: simple"  # let another model answer
  out_of_range = "reject"        # refuse the request

  [reviews]
  file = "reviews.jsonl"         # or webhook = "https://..."
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that tries a policy."""
    parser.description = "Try on a table whose truth is known what a policy would answer, withhold and have reviewed."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path, metavar="FILE", help="a .csv (or .csv.gz) or .parquet file with a header")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column with the true labels or values")
    parser.add_argument("--model", metavar="NAME", help="the model; may be left out where the repository has only one")
    parser.add_argument("--version", metavar="V", help="the model's version; the newest unless given")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    parser.add_argument("--policies", type=Path, metavar="FILE", help="the policy file, as the server takes it")
    parser.add_argument(
        "--cost",
        nargs="+",
        default=[],
        metavar="WHAT=C",
        help=f"what a wrong answer (or a unit of distance) costs, and a row of each action: {', '.join(COSTS)}",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw error, and cost, against the share answered")
    return run


def run(options: argparse.Namespace) -> int:
    """Tries a policy, prints what it would do, and returns the exit code."""
    costs = _costs(options.cost)
    if options.plot is not None and options.plot.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise TableError("--plot: must end in .svg, .png or .pdf")
    table = table_at(options.file)
    model = load(options.models, options.model, options.version)
    policy = None if options.policies is None else _policy(options.policies, model.card.name)
    fallbacks = _fallbacks(options.models, model, policy)
    with table, Progress() as progress:
        trial = try_policy(model, table, options.target, policy, fallbacks, progress.show)
    print("\n".join(_summary(trial, model, policy, costs)))
    if options.plot is not None:
        from chainzrule.trialplot import draw  # only here, because it needs an extra

        title = f"{model.card.name}, {len(trial.own):,} rows"
        draw(trial, title, bool(model.card.labels), costs, options.plot)
        print(f"wrote {options.plot}")
    return Exit.FINE


def _policy(path: Path, name: str) -> Policy:
    with path.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    try:
        policy = read_policies(content, path.parent).of(name)
    except ServiceError as error:
        raise TableError(f"{path}: {error}") from None
    if policy is None:
        raise TableError(f"{path} has no policy for {name}; add [models.{name}]")
    return policy


def _fallbacks(models: Path, model: LoadedModel, policy: Policy | None) -> Mapping[str, LoadedModel]:
    """Returns the models that the policy has answer instead; raises `TableError` for one that could not."""
    rules = [] if policy is None else policy.rules.values()
    found = {}
    for name in {rule.model for rule in rules if rule.model is not None}:
        other = load(models, name)
        if [one.name for one in other.card.inputs()] != [one.name for one in model.card.inputs()]:
            raise TableError(f"{name} cannot answer instead: its features are not those of {model.card.name}")
        if (other.card.task, other.card.labels) != (model.card.task, model.card.labels):
            raise TableError(f"{name} cannot answer instead: its labels are not those of {model.card.name}")
        found[name] = other
    return found


def _costs(given: list[str]) -> dict[str, float]:
    costs = {}
    for one in given:
        what, _, number = one.partition("=")
        try:
            cost = float(number)
        except ValueError:
            cost = -1.0
        if what not in COSTS or not 0.0 <= cost < float("inf"):
            raise TableError(f"--cost: must be like error=5, with one of {', '.join(COSTS)} and a number of at least 0")
        costs[what] = cost
    return costs


def _summary(trial: Trial, model: LoadedModel, policy: Policy | None, costs: Mapping[str, float]) -> Iterator[str]:
    rows, of_labels = len(trial.own), bool(model.card.labels)
    said = _share if of_labels else _number
    what = "are wrong" if of_labels else "is the mean distance from the truth"
    yield f"{rows:,} rows by {model.card.name} version {model.card.version}: {said(trial.own.mean())} {what}"
    if trial.left_out:
        yield f"left out {trial.left_out:,} that cannot be predicted or have no truth"
    if policy is not None:
        yield ""
        yield from _decided(trial, said)
        given = trial.loss[~trial.of(*WITHHELD)]
        error = f", of which {said(given.mean())} {what}" if len(given) and of_labels else ""
        yield f"answered: {len(given):,} rows ({_share(len(given) / rows)}){error}"
    if costs:
        without = costs.get("error", 0.0) * float(trial.own.sum())
        yield f"cost: {trial.cost(costs):,.6g}, and {without:,.6g} if all rows were simply answered"
    yield ""
    yield "if the most doubtful rows were withheld, by one measure alone, the others' error would be:"
    yield f"{'':20}" + "".join(f"{_share(share):>10}" for share in SHARES)
    for name, doubt in trial.doubt.items():
        errors = errors_by_coverage(doubt, trial.own)
        kept = [max(1, round(rows * (1.0 - share))) for share in SHARES]
        yield f"{name:20}" + "".join(f"{said(errors[count - 1]):>10}" for count in kept)


def _decided(trial: Trial, said: Callable[[float], str]) -> Iterator[str]:
    yield f"{'action':12}{'rows':>8}{'share':>9}{'own error':>12}{'given':>12}"
    for action in ACTIONS:
        chosen = trial.of(action)
        if chosen.any():
            given = "withheld" if action in WITHHELD else said(float(trial.loss[chosen].mean()))
            own = said(float(trial.own[chosen].mean()))
            yield f"{action:12}{np.count_nonzero(chosen):>8,}{_share(chosen.mean()):>9}{own:>12}{given:>12}"
    reviewed = sum(decision.review for decision in trial.decisions)
    if reviewed:
        yield f"for review: {reviewed:,} rows ({_share(reviewed / len(trial.own))})"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _number(value: float) -> str:
    return f"{value:.4g}"
