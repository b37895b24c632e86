"""Reads a table's numbers as its file spells them, and finds out how a column is spelled.

Reading is strict: a comma between thousands must stand before three digits, so that 1,5 is never taken for 15.
"""

import re
import shlex
from collections.abc import Sequence

import pandas as pd
from pandas.api import types

from chainzrule.service.runtime.spelling import SPACE, Spelling, number_of
from chainzrule.training.data.errors import DataError

MARKS = frozenset(
    ("?", "??", "-", "--", "---", "—", ".", "..", "*", "#", "n.a.", "n.a", "n/a.", "na", "nd", "n.d.", "k.a.", "none")
) | frozenset(("unknown", "missing", "not available", "not applicable", "nil", "null", "(null)", "undefined", "tbd"))
MOST_MARKS = 3  # other words that a column of numbers may have, for them to be gaps
_CENSORED = re.compile(r"[<>≤≥]=?\s*\d[\d.,]*")  # below or above what could be measured
_CURRENCY = re.compile(r"[$€£¥]|[A-Z]{3}")
LONGEST_UNIT = 8  # characters
_BOOLEANS = {text: word == "true" for word in ("true", "false") for text in (word, word.title(), word.upper())}
_CORE = re.compile(r"([^\d+-.,]*)([+-]?[\d.,][\d.,'\u2019 \u00a0\u202f]*?(?:[eE][+-]?\d+)?)(\D*)")


def respelled(frame: pd.DataFrame, spelling: Spelling) -> pd.DataFrame:
    """Returns a table with numbers in place of the texts that spell them; all else stays.

    Raises:
        DataError: a column with a unit that holds other texts than numbers.
    """
    changed = {}
    for name in frame.columns:
        column, unit = frame[name], spelling.units.get(str(name))
        if types.is_numeric_dtype(column.dtype) or (unit is None and spelling.plain):
            continue
        texts = column.dropna()
        if not all(isinstance(text, str) for text in texts):
            continue
        found, odd = _numbers(texts, spelling, unit)
        if odd is not None and not spelling.plain:
            found, other = _numbers(texts, Spelling(), unit)  # not every column is spelled like the others
            odd = odd if other else None
        if odd is None:
            changed[name] = pd.Series(found, index=texts.index, dtype=float).reindex(column.index)
        elif unit is not None:
            raise DataError(
                f"column '{name}' is in {unit}, and holds '{odd[:40]}', which is no number; correct it",
                *_na_flags([odd]),
                column=str(name),
            )
        elif set(texts) <= _BOOLEANS.keys():
            changed[name] = column.map(_BOOLEANS)
    return frame.assign(**changed) if changed else frame


def _numbers(texts: "pd.Series[str]", spelling: Spelling, unit: str | None) -> tuple[list[float | None], str | None]:
    """Returns the numbers that texts spell, and the first text that spells none."""
    found = [number_of(text, spelling, unit) for text in texts]
    return found, next((text for text, number in zip(texts, found, strict=True) if number is None), None)


def flags_for(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Returns the flags of `chainzrule fit` by which a column's distinct texts become numbers; none where none do."""
    marks = [text for text in texts if text.strip().casefold() in MARKS]
    rest = [text for text in texts if text not in set(marks)]
    parts = {text: _CORE.fullmatch(text.strip()) for text in rest}
    words = [
        text
        for text, found in parts.items()
        if found is None or not re.search(r"\d", found[2]) or _CENSORED.fullmatch(text.strip())
    ]
    if len(words) <= MOST_MARKS and len(words) < len(rest):
        marks += words
    elif words:
        return ()
    found = [match for text, match in parts.items() if match is not None and text not in words]
    affixes = {affix.strip() for match in found for affix in (match[1], match[3]) if affix.strip()}
    named = any(match[1].strip() and not _CURRENCY.fullmatch(match[1].strip()) for match in found)  # level 3, or <500
    if named or len(affixes) > 1 or any(len(affix) > LONGEST_UNIT for affix in affixes):
        return ()
    unit = next(iter(affixes), None)
    cores = [match[2].strip() for match in found]
    for decimal, thousands in (".", None), (".", ","), (",", None), (",", "."), (".", SPACE), (",", SPACE), (".", "'"):
        spelling = Spelling(decimal=decimal, thousands=thousands)
        if cores and all(number_of(core, spelling) is not None for core in cores):
            flags = [f"--unit {shlex.quote(f'{name}={unit}')}"] if unit else []
            flags += [f"--decimal {shlex.quote(decimal)}"] if decimal != "." else []
            flags += [f"--thousands {shlex.quote(thousands)}"] if thousands else []
            return (" ".join([*flags, *_na_flags(marks)]),) if flags or marks else ()
    return ()


def _na_flags(marks: Sequence[str]) -> list[str]:
    return [f"--na={shlex.quote(mark.strip())}" for mark in dict.fromkeys(marks)]
