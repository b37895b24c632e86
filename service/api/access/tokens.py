"""Defines tokens: what each permits, how a line of a file states one, and how a new one is made.

Files hold the SHA-256 of a token, so that whoever reads one can call nobody. A fast hash is right here, unlike for
passwords: a token has 256 random bits, which nobody guesses at any speed, and it is checked at every request.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from chainzrule.service.api.access.scopes import ANY, Scope

PREFIX = "sha256:"
FORM = "sha256:HEX SCOPE[,SCOPE] NAME"
# By this mark, scanners of repositories and logs can find a token that leaked.
_MARK = "czr_"
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Token:
    """Says what a token permits, and to whom.

    Attributes:
        name: whom it was given to; several tokens may have the same name, while a new one takes an old one's place.
        scopes: what it permits.
    """

    name: str
    scopes: frozenset[Scope]


Tokens = dict[bytes, Token]  # by the token's SHA-256


@dataclass(frozen=True)
class Listed:
    """Holds what a file states.

    Attributes:
        tokens: the tokens.
        faults: what is wrong with its other lines, which state none.
    """

    tokens: Tokens
    faults: tuple[str, ...] = ()


def digest_of(token: bytes) -> bytes:
    """Returns the hash by which a token is found, which takes as long whatever the token is."""
    return hashlib.sha256(token).digest()


def made() -> str:
    """Returns a new token."""
    return _MARK + secrets.token_urlsafe(32)


def line_of(token: str, name: str, scopes: frozenset[Scope]) -> str:
    """Returns the line that states a token.

    Raises:
        ValueError: the name has other signs than letters, digits, `.`, `_` and `-`, or over 64 of them.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name has at most 64 letters, digits, dots, underscores and hyphens")
    listed = ",".join(scope for scope in Scope if scope in scopes)
    return f"{PREFIX}{digest_of(token.encode()).hex()} {listed} {name}"


def read_tokens(content: bytes, name: str) -> Listed:
    """Returns what a file states: one hashed token a line, or a single plain token, which permits everything.

    Empty lines and those that begin with `#` say nothing. Faults name the line, and never repeat it.

    Args:
        content: the file's bytes.
        name: the name of a plain token, which has no room for one.
    """
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith(b"#")]
    if len(lines) == 1 and _is_plain(lines[0][1]):
        return Listed({digest_of(lines[0][1]): Token(name, ANY)})
    tokens: Tokens = {}
    faults = []
    for number, line in lines:
        try:
            digest, token = _stated(line.decode("utf-8", "replace"))
        except ValueError as fault:
            faults.append(f"line {number} {fault}")
            continue
        if digest in tokens:
            faults.append(f"line {number} states a token that another line has stated already")
        else:
            tokens[digest] = token
    return Listed(tokens, tuple(faults))


def _is_plain(line: bytes) -> bool:
    """Returns whether a file's only line is a token itself, and not a hashed one that was cut short in writing."""
    prefix = PREFIX.encode()
    return len(line.split()) == 1 and not line.startswith(prefix) and not prefix.startswith(line)


def _stated(line: str) -> tuple[bytes, Token]:
    parts = line.split()
    if len(parts) != 3:
        raise ValueError(f"is not {FORM}")
    hashed, listed, name = parts
    found = _HASH.fullmatch(hashed)
    if found is None:
        raise ValueError("does not begin with sha256: and 64 hexadecimal digits")
    scopes = list(_scopes(listed))
    if not _NAME.fullmatch(name):
        raise ValueError("has a name with other signs than letters, digits, dots, underscores and hyphens")
    return bytes.fromhex(found[1]), Token(name, frozenset(scopes))


def _scopes(listed: str) -> Iterator[Scope]:
    for name in listed.split(","):
        if name not in list(Scope):
            raise ValueError(f"has an unknown scope; there are {', '.join(Scope)}")
        yield Scope(name)
