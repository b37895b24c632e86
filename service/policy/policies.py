"""Reads the policies of all models from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chainzrule.service.errors import ServiceError
from chainzrule.service.policy.policy import ACTIONS, CAUSES, Policy, Rule

EVERY_MODEL = "*"
MAX_BYTES = 2**20  # of the file
_FALLBACK = "fallback:"
_WAYS = (*(action for action in ACTIONS[1:] if action != "fallback"), "fallback: MODEL")


@dataclass(frozen=True)
class Destination:
    """Says where rows are sent that a person is to look at.

    Attributes:
        file: a file to which they are appended; None for none.
        webhook: an address to which they are posted; None for none.
        inputs: whether the rows' inputs are sent along.
    """

    file: Path | None
    webhook: str | None
    inputs: bool


@dataclass(frozen=True)
class Policies:
    """Holds every model's policy.

    Attributes:
        by_model: the policies by the models' names; that of `EVERY_MODEL` is for models without one of their own.
        destination: where rows for review are sent; None where no rule asks for a review.
    """

    by_model: Mapping[str, Policy] = field(default_factory=dict)
    destination: Destination | None = None

    @property
    def names(self) -> set[str]:
        """Returns the models that are named, those that answer instead included."""
        rules = [rule for policy in self.by_model.values() for rule in policy.rules.values()]
        return (set(self.by_model) - {EVERY_MODEL}) | {rule.model for rule in rules if rule.model is not None}

    def of(self, model: str) -> Policy | None:
        """Returns the policy of a model; None where all of its answers are given as they are."""
        return self.by_model.get(model) or self.by_model.get(EVERY_MODEL)


def read_policies(content: bytes, folder: Path) -> Policies:
    """Returns the policies that a file holds; a relative path in it is one from `folder`.

    Raises:
        ServiceError: the file has a fault, which the error names with its place.
    """
    if len(content) > MAX_BYTES:
        raise ServiceError(f"the file has over {MAX_BYTES} bytes")
    try:
        document = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ServiceError("the file is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ServiceError(f"the file is not TOML: {error}") from None
    _only(document, ("models", "reviews"), None)
    models = _table(document.get("models", {}), "models")
    policies = Policies(
        {name: _policy(name, _table(rules, f"models.{name}")) for name, rules in models.items()},
        _destination(_table(document["reviews"], "reviews"), folder) if "reviews" in document else None,
    )
    for name, policy in policies.by_model.items():
        for cause, rule in policy.rules.items():
            if rule.action == "review" and policies.destination is None:
                raise ServiceError(
                    "a review needs a place to be sent to: add [reviews] with a file or a webhook",
                    f"models.{name}.{cause}",
                )
    return policies


def _policy(name: str, rules: Mapping[str, Any]) -> Policy:
    _only(rules, CAUSES, f"models.{name}")
    return Policy({cause: _rule(rule, name, f"models.{name}.{cause}") for cause, rule in rules.items()})


def _rule(text: Any, name: str, place: str) -> Rule:
    if isinstance(text, str) and text.startswith(_FALLBACK):
        model = text.removeprefix(_FALLBACK).strip()
        if not model or model == name:
            raise ServiceError("must name another model, as in 'fallback: other-model'", place)
        return Rule("fallback", model)
    if not isinstance(text, str) or text not in ACTIONS[1:] or text == "fallback":
        raise ServiceError(f"must be one of {', '.join(_WAYS)}", place)
    return Rule(text)


def _destination(given: Mapping[str, Any], folder: Path) -> Destination:
    _only(given, ("file", "webhook", "inputs"), "reviews")
    file, webhook, inputs = given.get("file"), given.get("webhook"), given.get("inputs", False)
    if (file is None) == (webhook is None):
        raise ServiceError("must have either a file or a webhook", "reviews")
    if file is not None and (not isinstance(file, str) or not file):
        raise ServiceError("must be a path, as text", "reviews.file")
    if webhook is not None and not (isinstance(webhook, str) and _is_address(webhook)):
        raise ServiceError("must be an address that begins with http:// or https://", "reviews.webhook")
    if not isinstance(inputs, bool):
        raise ServiceError("must be true or false", "reviews.inputs")
    return Destination(None if file is None else folder / file, webhook, inputs)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ServiceError(f"must be a table, [{place}]", place)
    return value


def _only(table: Mapping[str, Any], known: tuple[str, ...], place: str | None) -> None:
    """Raises `ServiceError` for a key that is not known."""
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ServiceError(f"'{key}' is none of {', '.join(known)}{meant}", place)
