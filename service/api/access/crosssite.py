"""Refuses what pages of other sites can make a browser send without asking: forms, and calls that need no preflight.

Such a request has the content type of a form or none at all, and an Origin header, which no page can leave out or
choose. JSON and octets are only sent after a preflight, which `origins` answers. curl names the content type of a form
where it is told none; without any header of a browser's it is taken at its word that the body is JSON, except where it
would change the service's state.
"""

from collections.abc import Collection

from chainzrule.service.api.access.hosts import ALL
from chainzrule.service.api.access.scopes import ADMIN
from chainzrule.service.api.incoming import FORM, JSON, OCTETS, Incoming
from chainzrule.service.api.route import Route
from chainzrule.service.errors import Forbidden, UnsupportedMedia

_TAKEN = frozenset((JSON, OCTETS))


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
            UnsupportedMedia: its content type is neither JSON nor octets; or it has none or that of a form, and comes
                from a page.
            Forbidden: it changes the service's state, and comes from a page of another origin.
        """
        media_type = request.media_type
        by_curl = media_type is None or (media_type == FORM and route.scopes != ADMIN)
        if media_type not in _TAKEN and (not by_curl or _is_by_page(request)):
            raise UnsupportedMedia(
                "send application/json, or application/octet-stream with binary tensors", "Content-Type"
            )
        if route.scopes == ADMIN and not self._is_own(request):
            raise Forbidden("pages of other origins may not do this; cors_origins lists those that may", "Origin")

    def _is_own(self, request: Incoming) -> bool:
        origin = request.header(b"origin")
        if origin is None or origin.lower() in self._origins:
            return True
        authority = origin.lower().partition("://")[2]
        return bool(authority) and authority == (request.header(b"host") or "").lower()


def _is_by_page(request: Incoming) -> bool:
    """Returns whether a browser sent the request for a page; Triton's clients, too, name no content type."""
    return request.header(b"origin") is not None or request.header(b"sec-fetch-site") is not None
