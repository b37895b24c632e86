"""Says how a file spells numbers and gaps, and reads numbers that are spelled so: for training, and for prediction.

Reading is strict: a comma between thousands must stand before three digits, so that 1,5 is never taken for 15.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SPACE = "space"  # between thousands: a plain, a no-break or a narrow space
THOUSANDS = (",", ".", "'", SPACE)
# What pandas takes for a gap, besides an empty cell.
USUAL_MARKS = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
CODE = re.compile(r"0\d+", re.ASCII)
_BETWEEN = {SPACE: "[ \u00a0\u202f]", "'": "['\u2019]"}  # what may stand between thousands, as a pattern


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

    @property
    def gaps(self) -> frozenset[str]:
        """Returns the texts that are gaps, besides empty ones."""
        return frozenset(USUAL_MARKS) - frozenset(self.not_na) | frozenset(self.na)


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
