"""Texts cut into the words that word vectors know."""

import re

_WORD = re.compile(r"n't|'\w+|\w+?(?=n't)|\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-case words, contractions in two (do n't, it 's) and punctuation marks one by one, as GloVe's are."""
    return _WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
