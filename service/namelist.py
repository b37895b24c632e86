"""Reads settings that are several names."""

from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_settings import NoDecode


class Names(tuple[str, ...]):
    """Holds names, which are given separated by commas."""

    def __str__(self) -> str:
        return ",".join(self) or "none"


def _split(value: Any) -> Names:
    parts = value.split(",") if isinstance(value, str) else value
    return Names(part.strip() for part in parts if part.strip())


NameList = Annotated[Names, NoDecode, PlainValidator(_split)]
