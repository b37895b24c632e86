"""Every dashboard panel asks Prometheus something that it can parse, of metrics that the service really exports."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.metrics import Metrics, RowReadings, VersionReading

DASHBOARDS = sorted(Path("deploy/grafana/dashboards").glob("*.json"))
# What Grafana puts in place of its variables, here in a form that any PromQL parser takes.
GRAFANA_VARIABLES = {"$__rate_interval": "5m", "$model": "breast-cancer", "$version": ".*"}
VOLATILITY_FAMILY = {
    "chainzrule_prediction_volatility",
    "chainzrule_prediction_volatility_relative",
    "chainzrule_prediction_volatility_reference_ratio",
    "chainzrule_prediction_flip_probability",
    "chainzrule_input_gradient_norm",
    "chainzrule_gradient_tail_ratio",
    "chainzrule_gradient_window_samples",
    "chainzrule_predictions_total",
    "chainzrule_out_of_range_features_total",
    "chainzrule_nonfinite_outputs_total",
}


def panels(dashboard: dict) -> Iterator[dict]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions(path: Path) -> list[str]:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    found = [target["expr"] for panel in panels(dashboard) for target in panel.get("targets", [])]
    found += [
        re.sub(r"^label_values\((.*), *\w+\)$", r"\1", variable["definition"])
        for variable in dashboard["templating"]["list"]
    ]
    for name, value in GRAFANA_VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Label names by sample name, of one scrape in which every metric has a value."""
    metrics = Metrics()
    reading = VersionReading("model", "1", "READY", {"sha256": "0"}, 1.0, 1000, 1.0, 1.0)
    metrics.watch(lambda: [reading], lambda: [("model", 0)])
    version = metrics.version("model", "1")
    version.count_batch(1, 0.001)
    one = np.ones(1)
    version.count_rows(RowReadings(one, one, one, one, {"stable": 1}, {"feature": 1}, outside=1))
    metrics.request_seconds.labels("/predict", "POST", "200").add(0.001)
    metrics.rejected.labels("queue-full").inc()
    text = metrics.expose("text/plain")[0].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    # Prometheus itself adds the last two.
    return {sample.name: {*sample.labels, "job", "instance"} for sample in samples}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_ask_for_metrics_and_labels_that_the_service_exports(path: Path, exported: dict[str, set[str]]) -> None:
    for expression in expressions(path):
        assert "$" not in expression, f"a variable that this test does not know: {expression}"
        asked = re.findall(r"\b(chainzrule_\w+)(?:\{([^}]*)\})?", expression)
        assert asked, f"no metric of ours in {expression}"
        for name, selector in asked:
            assert name in exported, f"{name} is not exported"
            assert set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", selector)) <= exported[name], f"{name}{{{selector}}}"
        for group in re.findall(r"by \(([^)]*)\)", expression):
            known = set().union(*(exported[name] for name, _ in asked))
            assert set(group.replace(" ", "").split(",")) <= known, expression


def test_the_volatility_dashboard_shows_the_whole_family() -> None:
    asked = " ".join(expressions(Path("deploy/grafana/dashboards/volatility.json")))
    assert {name for name in VOLATILITY_FAMILY if not re.search(rf"\b{name}(_bucket)?\b", asked)} == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_parses_every_expression(path: Path, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions(path))]
    # JSON is YAML too.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": path.stem, "rules": rules}]}))
    checked = subprocess.run(
        [promtool, "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_unique_ids_a_description_and_room(path: Path) -> None:
    found = list(panels(json.loads(path.read_text(encoding="utf-8"))))
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} covers another panel"
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"], f"{panel['title']} does not say what it shows"
