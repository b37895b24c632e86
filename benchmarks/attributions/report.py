"""Writes the comparison of attributions as a table."""

from typing import Any


def table(results: list[dict[str, Any]]) -> str:
    """Returns the Markdown table of results by network and batch."""
    lines = [
        "One thread each; milliseconds of processor time, medians over the rounds. Ratios are medians of theirs. The",
        "error is the largest gap over the range of what is attributed.",
        "",
        "| network | rows | way | error | ms | ChainzRule is faster by |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        lines += [
            f"| {result['network']} | {result['rows']} | {name} | {way['error']:.1e} | {way['milliseconds']:.3f} | "
            f"{way['over_ours']:.1f}x |"
            for name, way in result["ways"].items()
        ]
    return "\n".join(lines)
