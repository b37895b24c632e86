"""Cuts texts into the words that word vectors know."""

import re

_WORD = re.compile(r"n't|'\w+|\w+?(?=n't)|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Returns lower-case words as GloVe's: contractions in two (do n't, it 's), punctuation marks one by one."""
    return _WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
