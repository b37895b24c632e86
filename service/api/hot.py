"""Dispatches the hot routes ahead of FastAPI's routing, which takes longer than all the rest of a small request."""

from collections.abc import Iterable

from starlette.convertors import StringConvertor
from starlette.routing import compile_path
from starlette.types import Scope

from chainzrule.service.api.route import Endpoint, Route

Found = tuple[Endpoint | None, str | None]
_NOTHING: Found = (None, None)


class HotRoutes:
    """Finds a hot route's endpoint: by one dictionary lookup where the path is fixed, else by its pattern."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[tuple[str, str], Found] = {}
        self._patterns: dict[str, list[_Pattern]] = {}
        for route in routes:
            if route.hot and "{" in route.path:
                self._patterns.setdefault(route.method, []).append(_Pattern(route))
            elif route.hot:
                self._fixed[route.method, route.path] = (route.endpoint, route.path)

    def find(self, method: str, path: str, scope: Scope) -> Found:
        """Returns the endpoint and its route's path, or None twice; puts the path's parameters into `scope`."""
        found = self._fixed.get((method, path))
        if found is not None:
            return found
        for pattern in self._patterns.get(method, ()):
            match = pattern.match(path)
            if match is not None:
                scope["path_params"] = parameters = match.groupdict()
                for name, convertor in pattern.convertors:
                    parameters[name] = convertor.convert(parameters[name])
                return pattern.found
        return _NOTHING


class _Pattern:
    """Matches a path with parameters, by the pattern of FastAPI's own routing, so that both match the same paths."""

    def __init__(self, route: Route) -> None:
        pattern, _, convertors = compile_path(route.path)
        self.match = pattern.match
        self.convertors = [
            (name, convertor) for name, convertor in convertors.items() if not isinstance(convertor, StringConvertor)
        ]
        self.found: Found = (route.endpoint, route.path)
