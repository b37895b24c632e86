"""Says where rows belong, to whom sends them as other servers take them: each function returns an error to raise."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint, shown

# What other servers and libraries call the rows.
_ROWS = (
    "data", "dataframe_records", "dataframe_split", "features", "input", "inputs", "instance", "records", "row", "rows",
    "samples", "values", "x", "X",
)  # fmt: skip
_WRAPPED = '"instances": [...]'


def unknown_members(document: Mapping[str, Any], members: Collection[str]) -> InvalidInput:
    """Returns the error of a question that has members which its route does not know."""
    count = len(document) - sum(name in document for name in members)
    first = next(_unknown(document, members))
    strange = shown(_unknown(document, members), count)
    takes = f"it takes {', '.join(members)}"
    if "instances" in document:
        suggestion = hint(first, [name for name in members if name not in document])
        return InvalidInput(f"has {strange}, which this route does not know{suggestion}; {takes}", "body")
    rows = next((name for name in _ROWS if name in document), None)
    if rows is not None:
        return InvalidInput(f"has '{rows}'; this route takes the rows as {_WRAPPED}", "body")
    suggestion = hint(first, ["instances"]) or f"; a row, or a list of rows, is wrapped as {_WRAPPED}"
    return InvalidInput(f"has no instances, but {strange}{suggestion}; {takes}", "body")


def _unknown(document: Mapping[str, Any], members: Collection[str]) -> Iterator[str]:
    return (name for name in document if name not in members)


def no_list(instances: Any) -> InvalidInput:
    """Returns the error of `instances` that are no list of rows."""
    detail = "must be a list of at least one row"
    if type(instances) is dict:
        detail += f"; one row by itself is wrapped in a list too: {_WRAPPED}"
    return InvalidInput(detail, "instances")


def is_flat(instances: Any) -> bool:
    """Returns whether `instances` begin as one row would that is not wrapped in a list."""
    return type(instances) is list and type(instances[0]) in (int, float)


def flat_row() -> InvalidInput:
    """Returns the error of `instances` that are one row, where each of its values would be a row too many."""
    detail = 'must be a list of rows; one row by itself is wrapped in a list too: "instances": [[...]]'
    return InvalidInput(detail, "instances")
