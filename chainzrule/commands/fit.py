"""Implements `chainzrule fit`, which trains and publishes a model from a configuration or a table."""

import argparse
import math
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from chainzrule.exits import Exit
from chainzrule.noiseflags import add_noise_flags, noise_sections
from chainzrule.service.artifact.evidence import NoiseCalibration
from chainzrule.service.errors import ServiceError
from chainzrule.signer import signer
from chainzrule.tableflags import add_table_flags, repaired, shown, table_of
from chainzrule.training.columns import heavy_tails
from chainzrule.training.config import Config, make_config, read_config
from chainzrule.training.data.errors import DataError
from chainzrule.training.errors import ConfigError, StorageError, TrainingError
from chainzrule.training.fitting.rivals import RIVALS
from chainzrule.training.measure.quality import GUESSES, QUALITY
from chainzrule.training.publish.load import load
from chainzrule.training.publish.run import Run, RunReport

SHOWN = ("accuracy", "log_loss", "r2", "mae")
REFUSALS = (TrainingError, DataError, ServiceError)

EXAMPLES = """\
examples:
  chainzrule fit training/configs/breast-cancer.toml
  chainzrule fit training/configs/digits.toml --mnist DIRECTORY
  chainzrule fit training/configs/yelp-full.toml --reviews DIRECTORY --vectors glove.6B.100d.txt
  chainzrule fit --csv patients.csv --target outcome --name triage --noise "blood pressure=5"
  chainzrule fit --csv 'visits/*.csv' --target outcome --name triage --check

Every column's noise is one standard deviation of its measurement error, in the column's own unit. Undeclared, it is a
tenth of the column's standard deviation (0 for columns of two values). It decides what the service calls stable.

keys of CONFIG (TOML; a key that is not listed is refused):
"""


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Adds the arguments, and returns the function that trains and publishes."""
    parser.description = (
        "Train a ChainzRule network, measure it on rows it has not seen, and publish it to the model\n"
        "repository as an artifact that the service has already accepted."
    )
    parser.epilog = EXAMPLES + "\n".join(_keys(Config))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a TOML file, see the keys below")
    add_table_flags(parser)
    parser.add_argument("--check", action="store_true", help="only say what stands in the way, and train nothing")
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="MNIST's IDX files; downloaded when absent")
    texts = parser.add_argument_group("texts, for a CONFIG of the source yelp-full")
    texts.add_argument("--reviews", type=Path, metavar="DIR", help="Yelp Review Full's train.csv and test.csv")
    texts.add_argument("--vectors", type=Path, metavar="FILE", help="word vectors in GloVe's text format")
    texts.add_argument("--encoder", type=Path, metavar="DIR", help="a sentence encoder's folder, in place of vectors")
    add_noise_flags(parser)
    parser.add_argument(
        "--describe", action="append", default=[], metavar="COLUMN=TEXT", help="what a column is, for people"
    )
    parser.add_argument(
        "--examples", type=int, default=0, metavar="N", help="real rows to show in the card; none unless asked for"
    )
    parser.add_argument(
        "--tune",
        action=argparse.BooleanOptionalAction,
        help="try settings and keep the best by rows held out; on for a table of few rows that no CONFIG describes",
    )
    parser.add_argument("--budget", metavar="TIME", help="how long settings may be tried, such as 90s or 2m (2m)")
    parser.add_argument("--seed", type=int, metavar="N", help="overrides the configuration's")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="model repository (%(default)s)"
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign what is published with this private key")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="checkpoints (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (%(default)s)")
    return run


def run(options: argparse.Namespace) -> int:
    """Trains and publishes a model, prints a summary, and returns the exit code."""
    # A fixed number of threads gives the same figures whatever the machine's number of cores.
    torch.set_num_threads(options.threads)
    try:
        return _fit(options)
    except KeyboardInterrupt:
        print("\ninterrupted; there was nothing new to keep", file=sys.stderr)
        return Exit.INTERRUPTED


def _fit(options: argparse.Namespace) -> int:
    config = _config(options)
    sign = options.sign and signer(options.sign)
    try:
        dataset, notes = load(config.data, config.seed)
    except DataError as error:
        _print_problems(error, options)
        return Exit.USAGE
    checkpoints = options.runs / config.name
    run = Run(config, dataset, checkpoints, options.resume, progress=True, examples=options.examples)
    for note in (*notes, *heavy_tails(run.features)):
        print(f"note: {note}")
    if options.check:
        print(f"nothing stands in the way: {len(dataset.train):,} rows to train on, {len(dataset.features)} features")
        return Exit.FINE
    try:
        report = run.publish(options.models, sign=sign)
    except KeyboardInterrupt:
        if not run.resumable:
            raise
        print(f"\ninterrupted; {_go_on(options)}", file=sys.stderr)
        return Exit.INTERRUPTED
    except (StorageError, OSError) as error:
        # A write that fails for want of room does not say to which file.
        place = getattr(error, "filename", None) or options.models
        reason = str(error) if isinstance(error, StorageError) else f"{place}: {error.strerror or error}"
        print(f"error: {reason}", *([_go_on(options)] if run.resumable else []), sep="\n", file=sys.stderr)
        return Exit.USAGE
    print("\n".join(summary(report, options.models)))
    run.forget()
    return Exit.FINE


def _go_on(options: argparse.Namespace) -> str:
    """Returns how to resume the run."""
    again = [*(part for part in options.arguments if part != "--resume"), "--resume"]
    return f"the last checkpoint is kept. Go on from it with:\n  {shlex.join(['chainzrule', *again])}"


def _print_problems(error: DataError, options: argparse.Namespace) -> None:
    """Prints what stands in the way, one problem a line, with the flags that remove each."""
    lines = list(shown(error.problems))
    if len(lines) == 1:
        print(f"error: {lines[0]}", file=sys.stderr)
    else:
        print(f"error: {len(lines)} things stand in the way", *lines, sep="\n  ", file=sys.stderr)
    if len(lines) > 1 and all(problem.flags for problem in error.problems):
        print(f"with the first flag of each:\n  {repaired(options.arguments, error.problems)}", file=sys.stderr)


def _config(options: argparse.Namespace) -> Config:
    """Returns the configuration that the arguments ask for."""
    if options.config and (options.csv or options.target or options.name):
        raise ConfigError("give either CONFIG, or --csv with --target and --name")
    values = _from_file(options.config) if options.config else _from_table(options)
    if options.mnist is not None:
        if values["data"].get("source") != "mnist":
            raise ConfigError("--mnist goes with a configuration whose data source is mnist")
        values["data"]["path"] = options.mnist
    for option, key in (("reviews", "path"), ("vectors", "vectors"), ("encoder", "encoder")):
        if (given := getattr(options, option)) is not None:
            if values["data"].get("source") != "yelp-full":
                raise ConfigError(f"--{option} goes with a configuration whose data source is yelp-full")
            values["data"][key] = given
    if options.seed is not None:
        values["seed"] = options.seed
    if options.tune is not None:
        values["tune"] = options.tune
    if options.budget is not None:
        values["budget"] = _seconds(options.budget)
    values |= noise_sections(options, values.get("noise", {}))
    values["columns"] = _told(values.get("columns", {}), options.describe)
    return make_config(values, "the command line")


def _from_file(path: Path) -> dict[str, Any]:
    return read_config(path).model_dump(exclude_unset=True)


def _from_table(options: argparse.Namespace) -> dict[str, Any]:
    return {"name": options.name, "data": table_of(options)}


def _told(columns: dict[str, Any], arguments: list[str]) -> dict[str, Any]:
    """Returns what is told of columns, with the descriptions of the command line."""
    told = {name: dict(content) for name, content in columns.items()}
    for argument in arguments:
        column, separator, text = argument.partition("=")
        if not separator:
            raise ConfigError(f"--describe {argument}: give it as COLUMN=TEXT")
        told.setdefault(column, {})["description"] = text
    return told


def _seconds(argument: str) -> float:
    try:
        return float(argument.rstrip("smh")) * {"m": 60, "h": 3600}.get(argument[-1:], 1)
    except ValueError:
        raise ConfigError(f"--budget {argument}: give it as a time, such as 90s, 2m or 1h") from None


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yields every configuration key with its field's description."""
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _keys(section, f"{prefix}{name}.")
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        shown = "" if default in (None, (), {}, False) else f" [{default}]"
        yield textwrap.fill(
            f"{field.description}{shown}", 118, initial_indent=f"  {prefix + name:<22} ", subsequent_indent=" " * 25
        )


def summary(report: RunReport, models: Path) -> Iterator[str]:
    """Yields the lines of a run's summary."""
    card, checked = report.card, report.verification
    figures, baseline = card.quality, card.baselines[0]
    how = "out of fold" if card.reference.out_of_fold else "held out"
    size = f"{card.provenance.parameters:,} parameters, {report.epochs} epochs"
    if report.tried > 1:
        size += f"; {chosen(report)}"
    yield f"\n{card.name} version {card.version}: {card.task}, {size}"
    yield f"  on {card.reference.rows:,} rows ({how}), beside a ReLU network of {baseline.parameters:,} parameters:"
    for key in QUALITY:
        if key in figures and key not in GUESSES.values():
            guess = GUESSES.get(key)
            guessed = f"   {guess} {figures[guess]:.4g}" if guess in figures else ""
            yield f"    {key:<32} {figures[key]:>10.4g}   ReLU {baseline.quality[key]:>10.4g}{guessed}"
    if card.reference.uninformative:
        shares = "the labels' bare frequencies" if card.labels else "the mean"
        yield f"  WARNING: THIS MODEL IS NO BETTER THAN A GUESS. On those rows it did not beat {shares} beyond chance,"
        yield "  so the service calls no answer of it stable (reason uninformative). Give it columns that tell more,"
        yield "  more rows, or a weaker penalty (dreg.strength)"
    yield from (f"  WARNING: {warning}" for warning in warnings(figures))
    yield from beside(report)
    volatility = card.reference.volatility
    yield f"  volatility under the declared noise: mean {volatility.mean:.4g}, p99 {volatility.quantiles[99]:.4g}"
    if card.calibration is not None:
        yield from map(_calibrated, card.calibration.noise_scales)
    closeness = f"within {checked.definition:.1g} of float64, {checked.export:.1g} of torch"
    yield f"  graphs checked on {checked.rows} rows: {closeness}"
    yield f"  published to {report.path}; serve it with:\n    chainzrule serve --models {models}"


def chosen(report: RunReport) -> str:
    """Returns what was chosen of the settings that were tried."""
    network, dreg, fit = report.config.network, report.config.dreg, report.config.fit
    shape = "-".join(map(str, network.hidden))
    strength = "as usual" if dreg.strength is None else f"{dreg.strength:.3g}"
    columns = ", columns selected" if fit.select else ""
    return (
        f"best of {report.tried} settings: hidden {shape}, degree {network.degree}, penalty {strength}, decay "
        f"{fit.weight_decay:g}{columns}"
    )


def beside(report: RunReport) -> Iterator[str]:
    """Yields how people's usual models do on the same rows, and what to do where one of them is better."""
    card = report.card
    for rival in card.baselines:
        if rival.method in RIVALS:
            figures = ", ".join(f"{key} {rival.quality[key]:.4g}" for key in SHOWN if key in rival.quality)
            yield f"  {RIVALS[rival.method]} on the same rows: {figures}"
    for method in report.better:
        yield (
            f"  NOTE: {RIVALS[method]} is better here, beyond chance. To serve it with the same diagnostics, fit it "
            "with scikit-learn, save it as ONNX, and publish it with `chainzrule adopt` (docs/adopt.md)"
        )


def _calibrated(level: NoiseCalibration) -> str:
    """Returns a line on how true the measures were at one noise scale, over the rows that were run with drawn noise."""
    found = []
    if level.volatility_ratio is not None:
        found.append(f"volatility {level.volatility_ratio[1]:.2f} times the draws' own (median)")
    if level.calibration_error is not None:
        found.append(f"flip probability off by {level.calibration_error:.2g}")
    return (
        f"    against drawn noise, scale {level.noise_scale:g}: {', '.join(found) or 'nothing moves enough to compare'}"
    )


def warnings(figures: Mapping[str, float]) -> Iterator[str]:
    """Yields a warning for each figure that is no better than that of a guess which uses no feature."""
    if figures.get("r2", 0.0) < 0:
        yield "predicting the mean would be better than this model; see the notes above"
    if figures.get("mae", 0.0) > figures.get("median_mae", math.inf):
        yield "always answering the median level would come closer than this model; see median_mae"
    if figures.get("accuracy", 1.0) <= figures.get("majority_share", 0.0):
        yield "always answering the commonest label would be right as often as this model; see majority_share"
    if figures.get("log_loss", 0.0) >= figures.get("frequency_log_loss", math.inf):
        yield "the labels' bare frequencies would be better probabilities than this model's; see frequency_log_loss"
