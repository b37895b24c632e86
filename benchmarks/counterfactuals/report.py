"""Writes the comparison of counterfactuals as a table."""

from typing import Any


def table(results: list[dict[str, Any]]) -> str:
    """Returns the Markdown table of results by model and way."""
    lines = [
        "Distances are in noise sigmas of the feature that moves furthest. Of DiCE's several answers to a row the",
        "nearest valid one is taken; valid is what the service itself answers as asked. Medians over the rows. Times",
        "are milliseconds of processor time a row, which neighbours on a machine change least.",
        "",
        "| model | rows | way | found | valid | distance | over ours | found over certified (p90) | features | ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for name, way in result["ways"].items():
            bracket = "" if way["bracket"] is None else f"{way['bracket'][0]:.2f} ({way['bracket'][1]:.2f})"
            over = "" if way["over_ours"] is None else f"{way['over_ours']:.1f}x"
            lines.append(
                f"| {result['model']} | {result['rows']} | {name} | {way['found']:.0%} | {way['valid']:.0%} | "
                f"{way['distance']:.2f} | {over} | {bracket} | {way['features']:g} | {way['milliseconds']:.1f} |"
            )
    return "\n".join(lines)
