"""Writes and reads the noise of columns as a file of its own, which `fit` takes beside its other arguments."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainzrule.training.errors import ConfigError

SECTIONS = ("noise", "noise_law")


def read_noise(path: Path) -> dict[str, Any]:
    """Returns the sections of a noise file.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has other sections than `SECTIONS`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from None
    for name in content:
        if name not in SECTIONS:
            raise ConfigError(
                f"{path}: {name} does not belong there; a noise file has the sections noise and noise_law"
            )
    return content


def noise_text(sections: Mapping[str, Any], remarks: Sequence[str] = ()) -> str:
    """Returns the sections as TOML, with remarks as comments before them."""
    law = dict(sections["noise_law"])
    groups = law.pop("groups", [])
    lines = [*(f"# {remark}" for remark in remarks), "[noise]"]
    lines += [f"{_quoted(name)} = {value!r}" for name, value in sections["noise"].items()]
    lines += ["", "[noise_law]", *(f"{name} = {_value(value)}" for name, value in law.items())]
    for group in groups:
        lines += ["", "[[noise_law.groups]]", f"columns = {_value(group['columns'])}", "correlation = ["]
        lines += [f"  {_value(row)}," for row in group["correlation"]]
        lines.append("]")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Returns a TOML string, which is written as JSON writes one."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
