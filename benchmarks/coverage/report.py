"""Writes the figures as a table."""

from typing import Any

NEAR = 0.01  # a rival whose coverage is further below the confidence than this is not held against ours by its size


def table(content: dict[str, Any]) -> str:
    """Returns coverage and size of every contender at every confidence, as Markdown."""
    confidences = content["confidences"]
    lines = [
        f"{content['splits']} random halves of each subject's rows: regions by one half, asked of the other. The",
        "first table has coverage in % and mean sizes (labels, or lengths in the target's unit), each ± the standard",
        "error of the mean over the halves. Halves share rows: it is the error of drawing halves, and not of rows.",
        "",
        "| subject, rows | way | "
        + " | ".join(f"coverage at {100 * one:g}% | size at {100 * one:g}%" for one in confidences)
        + " |",
        "|---|---|" + "---|---|" * len(confidences),
    ]
    for subject in content["subjects"]:
        for way in subject["ways"]:
            cells = []
            for at in range(len(confidences)):
                cells.append(f"{100 * way['coverage'][at]:.2f} ± {100 * way['coverage_error'][at]:.2f}")
                cells.append(f"{way['size'][at]:.4g} ± {way['size_error'][at]:.2g}")
            lines.append(f"| {subject['subject']}, {subject['rows']:,} | {way['way']} | {' | '.join(cells)} |")
    lines += [
        "",
        "| subject | confidence | our coverage is off by | the smallest of MAPIE's that cover | over our size |",
    ]
    lines.append("|---|---|---|---|---|")
    for subject in content["subjects"]:
        own, *rivals = subject["ways"]
        for at, confidence in enumerate(confidences):
            fair = [way for way in rivals if way["coverage"][at] >= confidence - NEAR]
            best = min(fair, key=lambda way: way["size"][at])
            off = 100 * (own["coverage"][at] - confidence)
            lines.append(
                f"| {subject['subject']} | {100 * confidence:g}% | {off:+.2f} points | {best['way']} "
                f"| {best['size_over_ours'][at]:.3f} |"
            )
    lines += [
        "",
        f"Every row moved to the worst point that was found of a box of {content['radius']:g} noise sigma in every",
        "feature at once, and the regions that allow for the box. The quantiles are of the same rows, out of fold and",
        "not moved.",
        "",
        "| subject | confidence | coverage, not moved | moved | moved, with regions for the box | size | for the box |",
        "|---|---|---|---|---|---|---|",
    ]
    for subject in content["subjects"]:
        for box in subject["boxes"]:
            shares = " | ".join(
                f"{100 * box[name]:.2f}" for name in ("coverage", "coverage_attacked", "coverage_box_attacked")
            )
            lines.append(
                f"| {subject['subject']} | {100 * box['confidence']:g}% | {shares} | {box['size']:.4g} "
                f"| {box['size_box']:.4g}, {box['size_box'] / box['size']:.2f}x |"
            )
    return "\n".join(lines)
