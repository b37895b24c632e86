"""Writes the figures as Markdown."""

from typing import Any

from benchmarks.abstention.scores import RIVAL

TITLES = {
    "noisy": "The noisy row is what the model gets, and what is scored",
    "before": "Scored before the noise comes",
}


def report(found: dict[str, Any]) -> str:
    """Returns a table for each way of scoring."""
    lines = [
        "# Abstention under noise",
        "",
        f"The shipped digits: {found['rows']:,} test digits, {found['draws']} times with noise of "
        f"{found['noise_scale']:g} times the card's.",
        f"Without noise {_percent(found['error_without_noise'])} of the answers are wrong, with it "
        f"{_percent(found['error'])}, and it changes "
        f"{_percent(found['changed'])} of them.",
        f"The most doubtful {100 * found['share']:g}% of the answers are withheld, by each score.",
        "Errors are among the answers that are given, ± the standard error over the digits. A fall is that from the",
        "error with noise. Ratios are to the largest probability: of the falls, and of the errors that are left.",
    ]
    for way, title in TITLES.items():
        errors = found["ways"][way]
        rival = errors[RIVAL]
        lines += [
            "",
            f"## {title}",
            "",
            "| withheld by | errors left | fewer than by the largest probability | ratio of the falls "
            "| largest probability's errors over these | changed by the noise |",
            "|---|---|---|---|---|---|",
        ]
        for name, one in errors.items():
            falls = (found["error"] - one["error"]) / (found["error"] - rival["error"])
            left = rival["error"] / one["error"] if one["error"] else float("inf")
            lines.append(
                f"| {name} | {_percent(one['error'])} ± {_percent(one['standard_error'])} "
                f"| {0.0 - 100 * one['beside']:+.3f} ± {100 * one['beside_standard_error']:.3f} points "
                f"| {falls:.2f} | {left:.2f} | {_percent(one['changed'])} |"
            )
    most = found["error"] / (found["error"] - found["ways"]["noisy"][RIVAL]["error"])
    lines += [
        "",
        f"If no answer were wrong, the fall would be {most:.2f} times that by the noisy row's largest probability.",
    ]
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.3f}%"
