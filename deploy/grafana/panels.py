"""Builds a dashboard's parts in Grafana's JSON."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "prometheus"}
REFERENCE: Json = {"fill": "dash", "dash": [8, 6]}
LEGEND: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


@dataclass(frozen=True)
class Query:
    """Holds an expression and its legend; a `reference` is drawn dashed, `right` on an axis of its own."""

    expression: str
    name: str = ""
    reference: bool = False
    right: bool = False


@dataclass(frozen=True)
class Panel:
    """Holds a panel: its kind's options, and its size in the grid of 24 columns."""

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    defaults: Json
    options: Json
    width: int = 12
    height: int = 8
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    format: str | None = None
    instant: bool = False


def lines(
    title: str, description: str, *queries: Query, unit: str = "short", width: int = 12, mark: float | None = None
) -> Panel:
    """Returns a panel of values over time, with a line at `mark`."""
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "spanNulls": False}
    defaults: Json = {"unit": unit, "custom": custom, "min": 0}
    if mark is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
        steps = [{"color": "transparent", "value": None}, {"color": "orange", "value": mark}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return Panel("timeseries", title, description, queries, defaults, LEGEND, width, overrides=_overrides(queries))


def shares(title: str, description: str, query: Query, colors: dict[str, str], width: int = 12) -> Panel:
    """Returns a panel of parts of a whole over time."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 60, "stacking": {"mode": "normal", "group": "A"}}
    defaults: Json = {"unit": "percentunit", "custom": custom, "min": 0, "max": 1}
    overrides = tuple(
        _override("byName", name, {"id": "color", "value": {"mode": "fixed", "fixedColor": color}})
        for name, color in colors.items()
    )
    return Panel("timeseries", title, description, (query,), defaults, LEGEND, width, overrides=overrides)


def heatmap(title: str, description: str, query: Query, width: int = 12) -> Panel:
    """Returns a panel of how rows spread over a histogram's buckets, over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
        "yAxis": {"unit": "short", "axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
        "filterValues": {"le": 1e-9},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
        "legend": {"show": True},
        "cellValues": {"unit": "short"},
    }
    return Panel("heatmap", title, description, (query,), {"unit": "short"}, options, width, format="heatmap")


def number(
    title: str, description: str, query: Query, unit: str = "short", width: int = 4, warn: float | None = None
) -> Panel:
    """Returns a panel of the current value, orange from `warn` on."""
    defaults: Json = {"unit": unit}
    if warn is not None:
        steps = [{"color": "green", "value": None}, {"color": "orange", "value": warn}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "none" if warn is None else "value",
        "graphMode": "none",
        "textMode": "auto",
    }
    return Panel("stat", title, description, (query,), defaults, options, width, 4, instant=True)


def table(title: str, description: str, query: Query, columns: list[str], width: int = 12) -> Panel:
    """Returns a panel with one row per series, with these labels in this order."""
    organize = {
        "excludeByName": dict.fromkeys(("Time", "Value", "__name__", "job"), True),
        "indexByName": {column: place for place, column in enumerate(columns)},
        "renameByName": {},
    }
    options = {"showHeader": True, "cellHeight": "sm"}
    transformations = ({"id": "organize", "options": organize},)
    return Panel(
        "table",
        title,
        description,
        (query,),
        {"unit": "short"},
        options,
        width,
        transformations=transformations,
        format="table",
        instant=True,
    )


def variable(name: str, label: str, description: str, expression: str, several: bool = False) -> Json:
    """Returns a choice above the dashboard, among the values of a label."""
    asked = f"label_values({expression}, {name})"
    current: Json = {"text": ["All"], "value": ["$__all"]} if several else {}
    return {
        "name": name,
        "label": label,
        "description": description,
        "type": "query",
        "datasource": SOURCE,
        "definition": asked,
        "query": {"query": asked, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 3 if several else 1,
        "multi": several,
        "includeAll": several,
        "current": current,
        "hide": 0,
        "options": [],
        "regex": "",
    } | ({"allValue": ".*"} if several else {})


def dashboard(
    uid: str, title: str, description: str, variables: list[Json], rows: dict[str, list[Panel]], links: list[str]
) -> Json:
    """Returns a dashboard: panels under headings, laid out from left to right; links name the uids of others."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["chainzrule"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": [_alerts()]},
        "links": [
            {"type": "link", "title": link, "url": f"/d/{link}", "keepTime": True, "includeVars": True}
            for link in links
        ],
        "templating": {"list": variables},
        "panels": _laid_out(rows),
    }


def _laid_out(rows: dict[str, list[Panel]]) -> list[Json]:
    found: list[Json] = []
    y = 0
    for heading, panels in rows.items():
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        found.append(
            {"id": len(found) + 1, "type": "row", "title": heading, "collapsed": False, "gridPos": place, "panels": []}
        )
        y += 1
        x = height = 0
        for panel in panels:
            if x + panel.width > 24:
                x, y, height = 0, y + height, 0
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            found.append(_panel(panel, len(found) + 1, place))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return found


def _panel(panel: Panel, number: int, place: Json) -> Json:
    found: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [_target(panel, query, chr(ord("A") + at)) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": panel.defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
    }
    if panel.transformations:
        found["transformations"] = list(panel.transformations)
    return found


def _target(panel: Panel, query: Query, letter: str) -> Json:
    found: Json = {"refId": letter, "datasource": SOURCE, "expr": query.expression, "legendFormat": query.name}
    if panel.format:
        found["format"] = panel.format
    if panel.instant:
        found |= {"instant": True, "range": False}
    return found


def _overrides(queries: tuple[Query, ...]) -> tuple[Json, ...]:
    found = []
    for at, query in enumerate(queries):
        properties = []
        if query.reference:
            properties.append({"id": "custom.lineStyle", "value": REFERENCE})
        if query.right:
            properties.append({"id": "custom.axisPlacement", "value": "right"})
        if properties:
            found.append(_override("byFrameRefID", chr(ord("A") + at), *properties))
    return tuple(found)


def _override(matcher: str, options: str, *properties: Json) -> Json:
    return {"matcher": {"id": matcher, "options": options}, "properties": list(properties)}


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"ChainzRule.*", alertstate="firing"}',
        "titleFormat": "{{alertname}} {{model}}",
        "step": "60s",
    }
