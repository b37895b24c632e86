"""Every dashboard panel asks Prometheus something that it can parse, of metrics that the service really exports."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chainzrule.service.runtime.rows import RowEncoder
from chainzrule.service.serving.catalog import State
from chainzrule.service.serving.runs import inputs_of
from chainzrule.service.stability.answers import AnswerWatch, make_answers
from chainzrule.service.stability.link import link_of
from chainzrule.service.stability.standard import Standard
from chainzrule.service.stability.verdict import Thresholds
from chainzrule.service.stability.window import Window
from chainzrule.service.telemetry.live import LoadedReading, VersionReading
from chainzrule.service.telemetry.metrics import Metrics
from chainzrule.service.telemetry.version import VersionMetrics
from deploy.grafana.generate import FOLDER, rendered
from tests.artifacts import CLASSIFIER
from tests.deploy.monitoring import RULES
from tests.runs import runs_of

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
    "chainzrule_out_of_range_rows_total",
    "chainzrule_novel_rows_total",
    "chainzrule_close_calls_total",
    "chainzrule_nonfinite_outputs_total",
    "chainzrule_constraint_violations_total",
    "chainzrule_reference_prediction_volatility",
    "chainzrule_reference_gradient_tail_ratio",
    "chainzrule_reference_out_of_range_ratio",
    "chainzrule_reference_novel_ratio",
    "chainzrule_reference_unstable_ratio",
}
# Metrics of ours and of the client library, recorded series, and Prometheus' own.
NAME = r"(?<![\w:\"])((?:\w+:)?(?:chainzrule|process)_[\w:]+|up|ALERTS)\b(?:\{([^}]*)\})?"


def panels(dashboard: dict) -> Iterator[dict]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions(path: Path, scaled_down: int = 1) -> list[str]:
    """What the dashboard asks, ready for Prometheus; ranges are divided by `scaled_down`."""
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    found = [target["expr"] for panel in panels(dashboard) for target in panel.get("targets", [])]
    found += [
        re.sub(r"^label_values\((.*), *\w+\)$", r"\1", variable["definition"])
        for variable in dashboard["templating"]["list"]
    ]
    for name, value in GRAFANA_VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return [re.sub(r"\[(\d+)m\]", lambda r: f"[{int(r[1]) * 60 // scaled_down}s]", text) for text in found]


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Label names by sample name, of one scrape in which every metric has a value."""
    metrics = Metrics()
    toy = CLASSIFIER
    found = runs_of(toy).predict(inputs_of(np.full((2, 2), 1e3, np.float32), 1.0, True)).observed()
    assert found is not None
    card = toy.card()
    window = Window(2, 1, card.reference)
    window.add(found.diagnosis.volatility, found.diagnosis.gradient_norm, found.level, found.outside, found.novel)
    answers = AnswerWatch(make_answers(link_of(card.task, card.scores), toy.scores(toy.rows(100))), card.labels)
    answers.add(found.diagnosis.label.repeat(500), found.probability.repeat(500), found.diagnosis.value, 1000)
    loaded = LoadedReading({"sha256": "0"}, 1.0, window, card.reference, 0.0, 0.015, answers)
    reading = VersionReading("model", "1", State.READY, loaded)
    metrics.watch(tuple(State), lambda: [reading], lambda: [("model", 0)])
    ranges = RowEncoder(card).ranges
    standard = Standard(link_of(card.task, card.scores), ranges, card.reference, Thresholds())
    version = VersionMetrics(metrics, "model", "1", standard)
    version.count_run(1, 0.001, 0)
    version.count_rows(found)
    metrics.request_seconds.labels("/predict", "POST", "200").observe(0.001)
    metrics.rejected.labels("queue-full").inc()
    version.count_violations({"feature": 0})
    version.count_decisions({"abstain": 1})
    text = metrics.registry.snapshot().text("text/plain")[0].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    # Prometheus itself adds the last two.
    found = {sample.name: {*sample.labels, "job", "instance"} for sample in samples}
    found |= {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"}}
    for rule in recorded():
        level = rule["record"].split(":")[0]  # the name begins with the labels that are left
        found[rule["record"]] = {"objective": {"objective"}, "model_version": {"model", "version"}}.get(level, set())
    return found


def recorded() -> list[dict]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if "record" in rule]


def test_the_files_are_what_the_code_says() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == rendered(), (
        "run `python -m deploy.grafana.generate` and commit what it writes"
    )


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_ask_for_metrics_and_labels_that_the_service_exports(path: Path, exported: dict[str, set[str]]) -> None:
    for expression in expressions(path):
        assert "$" not in expression, f"a variable that this test does not know: {expression}"
        asked = re.findall(NAME, expression)
        assert asked, f"no metric of ours in {expression}"
        for name, selector in asked:
            assert name in exported, f"{name} is not exported"
            assert set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", selector)) <= exported[name], f"{name}{{{selector}}}"
        for group in re.findall(r"by \(([^)]*)\)", expression):
            known = set().union(*(exported[name] for name, _ in asked))
            assert set(group.replace(" ", "").split(",")) <= known, expression


def test_the_stability_dashboard_shows_the_whole_family() -> None:
    asked = " ".join(expressions(Path("deploy/grafana/dashboards/stability.json")))
    asked += " ".join(rule["expr"] for rule in recorded() if rule["record"] in asked)
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
