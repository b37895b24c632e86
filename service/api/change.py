"""Reads how an answer is to change, the member `counterfactual` of a question."""

from typing import Any

from chainzrule.service.api.members import is_float32, read_flag, read_text
from chainzrule.service.errors import InvalidInput
from chainzrule.service.naming import hint, shown
from chainzrule.service.serving.question import MOST_NAMES, Change

MEMBERS = Change._fields
PLACE = "counterfactual"


def read_change(value: Any) -> Change | None:
    """Returns how an answer is to change; None where nothing is asked.

    Raises:
        InvalidInput: a member is unknown, has an invalid value, or contradicts another.
    """
    if value is None:
        return None
    if type(value) is not dict:
        raise InvalidInput("must be an object, which may be empty", PLACE)
    unknown = next((name for name in value if name not in MEMBERS), None)
    if unknown is not None:
        takes = f"it takes {', '.join(MEMBERS)}"
        raise InvalidInput(f"has {shown([unknown], 1)}, which it does not know{hint(unknown, MEMBERS)}; {takes}", PLACE)
    at_least, at_most = _number(value, "at_least"), _number(value, "at_most")
    if at_least is not None and at_most is not None:
        raise InvalidInput("goes without at_most; give one of both", f"{PLACE}.at_least")
    return Change(
        read_text(value.get("label"), f"{PLACE}.label"),
        at_least,
        at_most,
        _names(value, "frozen"),
        _directions(value),
        _names(value, "integer"),
        read_flag(value.get("sparse", False), f"{PLACE}.sparse"),
    )


def _number(value: dict[str, Any], member: str) -> float | None:
    number = value.get(member)
    if number is None:
        return None
    if not is_float32(number):
        raise InvalidInput("must be a number that a 32-bit float can hold", f"{PLACE}.{member}")
    return float(number)


def _names(value: dict[str, Any], member: str) -> frozenset[str]:
    names = value.get(member, [])
    if type(names) is not list or len(names) > MOST_NAMES or any(type(name) is not str for name in names):
        raise InvalidInput(f"must be a list of at most {MOST_NAMES} features", f"{PLACE}.{member}")
    return frozenset(names)


def _directions(value: dict[str, Any]) -> dict[str, Any]:
    directions: dict[str, Any] = value.get("monotone", {})
    if type(directions) is not dict or len(directions) > MOST_NAMES:
        raise InvalidInput(f"must be an object of at most {MOST_NAMES} features", f"{PLACE}.monotone")
    if any(type(name) is not str or way not in ("increase", "decrease") for name, way in directions.items()):
        raise InvalidInput('must say "increase" or "decrease" of each feature', f"{PLACE}.monotone")
    return directions
