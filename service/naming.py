"""Names things in errors: what a name that is not known may have meant, and names that a request has made up.

Names are what a request calls its members, features, parameters and models. They are repeated only where they are short
and printable. Values are never repeated.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

LONGEST = 64  # characters of a name that is repeated, or compared with names that are known
MOST_LOOKED_AT = 4096  # names, so that a request of a million members holds nobody up
MOST_COMPARED = 256  # of them, so that a suggestion takes a few milliseconds at most
LONGEST_KNOWN = 256  # characters, as in a card
MOST_SHOWN = 3
MOST_LISTED = 12
LONGEST_LIST = 200  # characters

_UNSPOKEN = str.maketrans("", "", " _-")


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is meant by one that differs in case, spaces or some letters; None where none is."""
    if len(given) > LONGEST:
        return None
    by_plain: dict[str, str] = {}
    for name in islice(known, MOST_LOOKED_AT):
        if len(name) <= LONGEST_KNOWN:
            by_plain.setdefault(plain(name), name)
    wanted = plain(given)
    if wanted in by_plain:
        return by_plain[wanted]
    close = get_close_matches(wanted, islice(by_plain, MOST_COMPARED), n=1)
    return by_plain[close[0]] if close else None


def plain(name: str) -> str:
    """Returns a name without what people write in several ways: capital letters, spaces, hyphens and underscores."""
    return name.translate(_UNSPOKEN).casefold()


def hint(given: str, known: Iterable[str]) -> str:
    """Returns a question after the name that may have been meant, in brackets; nothing where there is none."""
    meant = nearest(given, known)
    return "" if meant is None else f" (did you mean {meant}?)"


def shown(names: Iterable[str], count: int) -> str:
    """Returns the first few of `count` names that a request has made up, in quotation marks, and how many more."""
    looked_at = islice(names, MOST_LOOKED_AT)
    fit = (f"'{name}'" for name in looked_at if len(name) <= LONGEST and name.isprintable())
    first = list(islice(fit, MOST_SHOWN))
    more = count - len(first)
    if not first:
        return "one whose name cannot be shown" if more == 1 else f"{more} whose names cannot be shown"
    return ", ".join(first) + (f" and {more} more" if more else "")


def listed(names: Collection[str]) -> str:
    """Returns names that the service itself knows, as many as fit in a message."""
    found: list[str] = []
    for name in islice(names, MOST_LISTED):
        if found and len(", ".join(found)) + len(name) > LONGEST_LIST:
            break
        found.append(name)
    more = len(names) - len(found)
    return ", ".join(found) + (f" and {more} more" if more else "")
