"""Says how a file spells numbers and gaps, reads numbers that are spelled so, and finds out how a column is spelled.

Reading is strict: a comma between thousands must stand before three digits, so that 1,5 is never taken for 15.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from pandas.api import types

from chainzrule.training.data.errors import DataError

SPACE = "space"  # between thousands: a plain, a no-break or a narrow space
THOUSANDS = (",", ".", "'", SPACE)
# What pandas takes for a gap, besides an empty cell.
USUAL_MARKS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
MARKS = frozenset(
    ("?", "??", "-", "--", "---", "—", ".", "..", "*", "#", "n.a.", "n.a", "n/a.", "na", "nd", "n.d.", "k.a.", "none")
) | frozenset(("unknown", "missing", "not available", "not applicable", "nil", "null", "(null)", "undefined", "tbd"))
MOST_MARKS = 3  # other words that a column of numbers may have, for them to be gaps
_CENSORED = re.compile(r"[<>≤≥]=?\s*\d[\d.,]*")  # below or above what could be measured
_CURRENCY = re.compile(r"[$€£¥]|[A-Z]{3}")
LONGEST_UNIT = 8  # characters
CODE = re.compile(r"0\d+", re.ASCII)
_BOOLEANS = {text: word == "true" for word in ("true", "false") for text in (word, word.title(), word.upper())}
_BETWEEN = {SPACE: "[ \u00a0\u202f]", "'": "['\u2019]"}  # what may stand between thousands, as a pattern
_CORE = re.compile(r"([^\d+-.,]*)([+-]?[\d.,][\d.,'\u2019 \u00a0\u202f]*?(?:[eE][+-]?\d+)?)(\D*)")


@dataclass(frozen=True)
class Spelling:
    """Holds how a file spells what it holds.

    Attributes:
        encoding: of a text file; None is UTF-8, with or without a byte order mark.
        decimal: what stands before the decimals.
        thousands: what stands between thousands, one of `THOUSANDS`; None where nothing does.
        na: further marks of a gap.
        not_na: usual marks of a gap that are none here, such as NA for Namibia.
        units: by column, the unit or currency that its numbers are written with.
    """

    encoding: str | None = None
    decimal: str = "."
    thousands: str | None = None
    na: tuple[str, ...] = ()
    not_na: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Returns whether numbers are spelled as they are in programs."""
        return self.decimal == "." and self.thousands is None


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


def number_of(text: str, spelling: Spelling, unit: str | None = None) -> float | None:
    """Returns the number that a text spells, with its unit before or behind it where it has one; else None.

    Digits with a leading zero are a code, such as 01234.
    """
    text = text.strip()
    if CODE.fullmatch(text):
        return None
    if unit:
        text = text.removesuffix(unit).removeprefix(unit).strip()
        if text[:1] in ("+", "-") and text[1:].startswith(unit):
            text = text[0] + text[1:].removeprefix(unit)
    point = re.escape(spelling.decimal)
    if spelling.thousands is None:
        whole = r"\d+"
    else:
        mark = _BETWEEN.get(spelling.thousands, re.escape(spelling.thousands))
        whole = rf"(?:\d{{1,3}}(?:{mark}\d{{3}})+|\d+)"
    found = re.fullmatch(rf"([+-]?)({whole}|)(?:{point}(\d*))?([eE][+-]?\d+)?", text, re.ASCII)
    if found is None or not (found[2] or found[3]):
        return None
    return float(f"{found[1]}{re.sub(r'[^0-9]', '', found[2]) or 0}.{found[3] or 0}{found[4] or ''}")


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
