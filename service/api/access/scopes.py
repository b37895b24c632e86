"""Names what a token may permit, and the sets of scopes that routes ask for."""

from enum import StrEnum


class Scope(StrEnum):
    """Is one of the things that a token may permit."""

    PREDICT = "predict"  # questions about rows
    OBSERVE = "observe"  # what is served, and how it behaves
    ADMIN = "admin"  # taking models out of service and back in


# A route asks for one of its scopes; one that has none is open to everybody.
OPEN: frozenset[Scope] = frozenset()
ANY = frozenset(Scope)
PREDICT = frozenset({Scope.PREDICT})
OBSERVE = frozenset({Scope.OBSERVE})
ADMIN = frozenset({Scope.ADMIN})
