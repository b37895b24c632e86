"""Refuses what pages of other sites can make a browser send without asking: forms, and calls that need no preflight.

Such a request has the content type of a form or none at all, and an Origin header, which no page can leave out or
choose. JSON and octets are only sent after a preflight, which `origins` answers.
"""

from collections.abc import Collection

from chainzrule.service.api.access.hosts import ALL
from chainzrule.service.api.access.scopes import ADMIN
from chainzrule.service.api.incoming import Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.errors import Forbidden, UnsupportedMedia

_TAKEN = frozenset(("application/json", "application/octet-stream"))


class CrossSite:
    """Checks requests that are made by POST.

    Args:
        origins: the origins whose pages may call, as CORS has them. `*` does not let them change the service's state.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins if origin != ALL)

    def check(self, request: Incoming, route: Route) -> None:
        """Checks a request for a route.

        Raises:
            UnsupportedMedia: its content type is neither JSON nor octets; or it has none, and comes from a page.
            Forbidden: it changes the service's state, and comes from a page of another origin.
        """
        media_type = request.header(b"content-type")
        if media_type not in _TAKEN:
            _check_media(request, media_type)
        if route.scopes == ADMIN and not self._is_own(request):
            raise Forbidden("pages of other origins may not do this; cors_origins lists those that may", "Origin")

    def _is_own(self, request: Incoming) -> bool:
        origin = request.header(b"origin")
        if origin is None or origin.lower() in self._origins:
            return True
        authority = origin.lower().partition("://")[2]
        return bool(authority) and authority == (request.header(b"host") or "").lower()


def _check_media(request: Incoming, media_type: str | None) -> None:
    if media_type is None:  # so Triton's clients send everything
        if request.header(b"origin") is None and request.header(b"sec-fetch-site") is None:
            return
    elif media_type.partition(";")[0].strip().lower() in _TAKEN:
        return
    raise UnsupportedMedia("send application/json, or application/octet-stream with binary tensors", "Content-Type")
