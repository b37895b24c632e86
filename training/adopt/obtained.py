"""Says in an adopted model's card how each of its numbers was obtained, and what it is not."""

from chainzrule.training.adopt.comparison import Comparison
from chainzrule.training.adopt.head import Head
from chainzrule.training.adopt.meaning import Reading
from chainzrule.training.adopt.method import Choice
from chainzrule.training.adopt.original import TOLERANCE
from chainzrule.training.adopt.sample import Sample
from chainzrule.training.novelty.graph import NOVELTY_OPSET
from chainzrule.training.novelty.novelty import MOST_COLUMNS


def obtained(
    sample: Sample, reading: Reading, head: Head, choice: Choice, comparison: Comparison | None, has_novelty: bool
) -> dict[str, str]:
    """Returns sentences by the part of the card that they are about."""
    rows = len(sample.x)
    said = {
        "answers": reading.why,
        "scores": head.how,
        "stability": choice.how,
        "reference": f"the {rows} rows of the sample, which the model may have been fitted to",
        "conformity": f"the {rows} rows of the sample; where the model knew them, sets and intervals are too "
        "small, and too few answers are close calls",
        "quality": f"the {rows} rows of the sample, which the model may have been fitted to",
        "calibration": "rows of the sample, run again with draws other than the verdicts' own",
        "novelty": f"the inputs of the {rows} rows of the sample, a fifth of them judged by the others at a time"
        if has_novelty
        else f"none: that takes a graph of opset {NOVELTY_OPSET} or later, and at most {MOST_COLUMNS} columns",
        "noise": "as declared with --noise; for other columns a tenth of the sample's standard deviation, 0 for "
        "columns of two values and for codes of categories",
        "range": "the sample's smallest and largest values",
        "golden": "this artifact's own answers when it was adopted: they guard against damage, not against the source",
    }
    if choice.notes:
        said["not_better"] = "; ".join(choice.notes)
    if sample.codes:
        said["codes"] = f"columns that the model reads as codes of categories: {', '.join(sample.codes)}"
    if comparison is None:
        said["source_library"] = "not compared: no --expected was given"
    elif comparison.rows_off:
        said["source_library"] = (
            f"{comparison.rows} predictions of the library, of which {comparison.rows_off} are off by more than "
            f"{TOLERANCE:g}, by {comparison.difference:.2g} at worst; accepted by --tolerance"
        )
    else:
        said["source_library"] = f"{comparison.rows} predictions of the library, within {TOLERANCE:g}"
    return said
