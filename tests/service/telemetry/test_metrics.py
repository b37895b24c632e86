"""Metrics: after known traffic the exact numbers, and labels that never come from a request."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from chainzrule.service.stability.answers import BLOCK_ROWS
from chainzrule.service.telemetry.metrics import Metrics
from tests.artifacts import BINARY, CLASSIFIER, CUBIC, FAMILIAR, IMAGE, REGRESSION, SILENT, SLOW, Toy, numeric
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]

# Design: every metric with its kind and labels.
EXPECTED = {
    "prediction_volatility": ("histogram", {"model", "version"}),
    "prediction_volatility_relative": ("histogram", {"model", "version"}),
    "prediction_flip_probability": ("histogram", {"model", "version"}),
    "input_gradient_norm": ("histogram", {"model", "version"}),
    "predictions": ("counter", {"model", "version", "verdict"}),
    "gradient_tail_ratio": ("gauge", {"model", "version"}),
    "prediction_volatility_reference_ratio": ("gauge", {"model", "version"}),
    "gradient_window_samples": ("gauge", {"model", "version"}),
    "out_of_range_features": ("counter", {"model", "version", "feature"}),
    "out_of_range_rows": ("counter", {"model", "version"}),
    "novel_rows": ("counter", {"model", "version"}),
    "close_calls": ("counter", {"model", "version"}),
    "reference_prediction_volatility": ("gauge", {"model", "version", "percentile"}),
    "reference_gradient_tail_ratio": ("gauge", {"model", "version"}),
    "reference_out_of_range_ratio": ("gauge", {"model", "version"}),
    "reference_novel_ratio": ("gauge", {"model", "version"}),
    "reference_unstable_ratio": ("gauge", {"model", "version"}),
    "decisions": ("counter", {"model", "version", "action"}),
    "answers": ("counter", {"model", "version", "kind", "bin"}),
    "answers_drift": ("gauge", {"model", "version", "kind"}),
    "reference_answers_ratio": ("gauge", {"model", "version", "kind", "bin"}),
    "lost_reviews": ("gauge", set()),
    "constraint_violations": ("counter", {"model", "version", "feature"}),
    "nonfinite_outputs": ("counter", {"model", "version"}),
    "request_duration_seconds": ("histogram", {"route", "method", "code"}),
    "inference_duration_seconds": ("histogram", {"model", "version"}),
    "batch_rows": ("histogram", {"model", "version"}),
    "queue_depth": ("gauge", {"model"}),
    "requests_in_progress": ("gauge", set()),
    "held_bytes": ("gauge", set()),
    "ready": ("gauge", set()),
    "draining": ("gauge", set()),
    "repository_unreadable": ("gauge", set()),
    "rejected_requests": ("counter", {"reason"}),
    "log_lines_lost": ("counter", {"reason"}),
    "wrong_tokens": ("counter", set()),
    "model_info": ("gauge", {"model", "version", "sha256", "task", "provider", "method"}),
    "model_state": ("gauge", {"model", "version", "state"}),
    "model_loaded_timestamp_seconds": ("gauge", {"model", "version"}),
}


class Scrape:
    """One exposition, to be asked for samples."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in parse(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"chainzrule_{name}", frozenset(labels.items())))

    def labels(self, name: str) -> Iterator[dict[str, str]]:
        for found, labels in self.samples:
            if found == f"chainzrule_{name}":
                yield dict(labels)


async def scrape(client: httpx.AsyncClient) -> Scrape:
    response = await client.get("/metrics")
    assert response.status_code == 200
    return Scrape(response.text)


def of(toy: Toy, version: str = "1") -> dict[str, str]:
    return {"model": toy.name, "version": version}


async def traffic(client: httpx.AsyncClient) -> None:
    """Something of everything."""
    for toy in (CLASSIFIER, BINARY, REGRESSION):
        rows = [*toy.rows(20).tolist(), [1e3, 0.0]]
        assert (await client.post("/predict", json={"instances": rows, "model": toy.name})).status_code == 200
    await client.post("/predict", json={"instances": [[1e20, 0.0]], "model": "bent"})
    await client.post("/predict", json={})
    await client.get("/sensitivity?x=1,2&model=toy")
    await client.get("/nowhere")


WATCHED = Toy(task="regression", name="watched", features=(numeric("rises", monotone="increasing"),), seed=2)
MODELS = (CLASSIFIER, BINARY, REGRESSION, CUBIC, FAMILIAR, IMAGE, WATCHED)


async def test_every_metric_is_there_with_its_kind_and_labels(serving: Serving, tmp_path: Path) -> None:
    (policies := tmp_path / "policies.toml").write_text('[models."*"]\nnovel = "annotate"')
    async with serving(*MODELS, window_minimum_rows=5, policies=policies) as client:
        await traffic(client)
        rows = FAMILIAR.rows(BLOCK_ROWS).tolist()  # as many as are compared at once with the card's
        assert (await client.post("/predict", json={"model": "familiar", "instances": rows})).is_success
        found = await scrape(client)
    own = {name.removeprefix("chainzrule_") for name in found.families if name.startswith("chainzrule_")}
    assert own == set(EXPECTED)
    for name, (kind, labels) in EXPECTED.items():
        family = found.families[f"chainzrule_{name}"]
        assert family.type == kind, name
        assert family.documentation
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, name
    assert "_created" not in found.text


async def test_every_metric_is_documented_with_its_labels(serving: Serving) -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `chainzrule_([a-z_]+)` \| (\w+) \| ([a-z0-9_, ]*) ?\|", text, re.MULTILINE)
    documented = {
        name.removesuffix("_total"): (kind, set(labels.replace(" ", "").split(",")) - {""})
        for name, kind, labels in rows
    }
    expected = {name: ("info" if name == "model_info" else kind, labels) for name, (kind, labels) in EXPECTED.items()}
    assert documented == expected


async def test_the_numbers_after_known_traffic(serving: Serving) -> None:
    rows = [*CLASSIFIER.rows(9).tolist(), [1e3, 50.0]]
    async with serving(CLASSIFIER, window_minimum_rows=10) as client:
        before = await scrape(client)
        assert before("gradient_window_samples", **of(CLASSIFIER)) == 0
        assert before("gradient_tail_ratio", **of(CLASSIFIER)) is None
        assert before("prediction_volatility_count", **of(CLASSIFIER)) is None
        answer = (await client.post("/predict", json={"instances": rows})).json()
        found = await scrape(client)
    stability = [row["stability"] for row in answer["predictions"]]
    volatility = np.array([row["volatility"] for row in stability])
    norms = np.array([row["gradient_norm"] for row in stability])
    flips = np.array([row["flip_probability"] for row in stability])
    mean = CLASSIFIER.card().reference.volatility.mean
    for name, values in (
        ("prediction_volatility", volatility),
        ("prediction_volatility_relative", volatility / mean),
        ("prediction_flip_probability", flips),
        ("input_gradient_norm", norms),
    ):
        assert found(f"{name}_count", **of(CLASSIFIER)) == 10
        assert found(f"{name}_sum", **of(CLASSIFIER)) == pytest.approx(values.sum())
        buckets = list(found.labels(f"{name}_bucket"))
        assert len(buckets) > 10
        for labels in buckets:
            assert found(f"{name}_bucket", **labels) == (values <= float(labels["le"])).sum()
    verdicts = [row["verdict"] for row in stability]
    for verdict in ("stable", "elevated", "unstable"):
        assert (found("predictions_total", **of(CLASSIFIER), verdict=verdict) or 0) == verdicts.count(verdict)
    assert found("out_of_range_features_total", **of(CLASSIFIER), feature="height") == 1
    assert found("out_of_range_features_total", **of(CLASSIFIER), feature="weight") == 1
    assert found("out_of_range_rows_total", **of(CLASSIFIER)) == 1
    assert found("gradient_window_samples", **of(CLASSIFIER)) == 10
    assert found("gradient_tail_ratio", **of(CLASSIFIER)) == pytest.approx(np.quantile(norms, 0.99) / norms.mean())
    ratio = found("prediction_volatility_reference_ratio", **of(CLASSIFIER))
    assert ratio == pytest.approx(volatility.mean() / mean)
    assert found("batch_rows_count", **of(CLASSIFIER)) == 1
    assert found("batch_rows_sum", **of(CLASSIFIER)) == 10
    assert found("inference_duration_seconds_count", **of(CLASSIFIER)) == 1
    assert found("request_duration_seconds_count", route="/predict", method="POST", code="200") == 1
    assert found("request_duration_seconds_count", route="/metrics", method="GET", code="200") == 1
    assert found("requests_in_progress") == 1  # the scrape itself
    assert found("draining") == 0
    assert found("queue_depth", model="toy") == 0
    assert found("nonfinite_outputs_total", **of(CLASSIFIER)) == 0


async def test_answers_are_counted_beside_the_cards_and_compared(serving: Serving) -> None:
    known = FAMILIAR.card().answers
    assert known is not None
    assert known.labels is not None
    rows = np.tile(FAMILIAR.rows(1), (BLOCK_ROWS + 1, 1))
    label = int(FAMILIAR.scores(rows[:1]).argmax())
    async with serving(FAMILIAR) as client:
        for part in (rows[:1], rows[1:400], rows[400:BLOCK_ROWS]):
            found = await scrape(client)
            assert not found.families["chainzrule_answers_drift"].samples
            await client.post("/predict", json={"instances": part.tolist()})
        await client.post("/predict", json={"instances": rows[-1:].tolist(), "observe": False})
        found = await scrape(client)
    for index, name in enumerate(FAMILIAR.names):
        sought = {**of(FAMILIAR), "kind": "label", "bin": name}
        assert found("answers_total", **sought) == (BLOCK_ROWS if index == label else 0)
        assert found("reference_answers_ratio", **sought) == pytest.approx(known.labels[index] / 200)
    for kind in ("label", "probability"):
        assert (found("answers_drift", **of(FAMILIAR), kind=kind) or 0.0) > 20


async def test_the_cards_reference_is_exported(serving: Serving) -> None:
    async with serving(CLASSIFIER, REGRESSION) as client:
        found = await scrape(client)
    for toy in (CLASSIFIER, REGRESSION):
        reference = toy.card().reference
        for percent in (50, 90, 99):
            value = found("reference_prediction_volatility", **of(toy), percentile=str(percent))
            assert value == pytest.approx(reference.volatility.quantiles[percent])
        assert found("reference_gradient_tail_ratio", **of(toy)) == reference.gradient_tail_ratio
        assert found("reference_out_of_range_ratio", **of(toy)) == reference.out_of_range_rate
    assert found("reference_unstable_ratio", **of(CLASSIFIER)) is None  # its card does not tell
    assert found("reference_unstable_ratio", **of(REGRESSION)) == 0


async def test_requests_of_one_turn_are_one_batch(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        await asyncio.gather(*(client.post("/predict", json={"instances": [[1.0, n]]}) for n in range(8)))
        found = await scrape(client)
    assert found("batch_rows_sum", **of(CLASSIFIER)) == 8
    assert (found("batch_rows_count", **of(CLASSIFIER)) or 8) < 8
    assert found("prediction_volatility_count", **of(CLASSIFIER)) == 8


async def test_experiments_count_as_requests_only(serving: Serving) -> None:
    row = {"instances": [[1e3, 2.0]]}
    async with serving(CLASSIFIER) as client:
        for question in ({**row, "observe": False}, {**row, "noise_scale": 3}):
            assert (await client.post("/predict", json=question)).status_code == 200
        assert (await client.post("/sensitivity", json=row)).status_code == 200
        assert (await client.get("/sensitivity?x=1e3,2")).status_code == 200
        found = await scrape(client)
        assert found("request_duration_seconds_count", route="/predict", method="POST", code="200") == 2
        assert found("request_duration_seconds_count", route="/sensitivity", method="POST", code="200") == 1
        assert found("request_duration_seconds_count", route="/sensitivity", method="GET", code="200") == 1
        assert found("batch_rows_count", **of(CLASSIFIER)) == 4
        for name in ("prediction_volatility", "prediction_flip_probability", "input_gradient_norm"):
            assert found(f"{name}_count", **of(CLASSIFIER)) is None
        assert all(found("predictions_total", **labels) == 0 for labels in found.labels("predictions_total"))
        assert not list(found.labels("out_of_range_features_total"))
        assert found("gradient_window_samples", **of(CLASSIFIER)) == 0
        # In one batch with observed rows, too.
        questions = [{**row, "observe": n % 2 == 0} for n in range(6)]
        await asyncio.gather(*(client.post("/predict", json=question) for question in questions))
        found = await scrape(client)
        assert found("prediction_volatility_count", **of(CLASSIFIER)) == 3


async def test_outputs_that_are_not_finite_are_counted_and_kept_out(serving: Serving) -> None:
    async with serving(CUBIC) as client:
        response = await client.post("/predict", json={"instances": [[1.0, 0.0], [1e20, 0.0], [0.0, 1e20]]})
        assert response.status_code == 422
        found = await scrape(client)
    assert found("nonfinite_outputs_total", **of(CUBIC)) == 2
    assert found("prediction_volatility_count", **of(CUBIC)) == 1
    assert found("rejected_requests_total", reason="non-finite-output") == 1
    assert found("request_duration_seconds_count", route="/predict", method="POST", code="422") == 1


async def test_regression_has_no_flips_and_no_reference_of_zero_is_divided_by(serving: Serving) -> None:
    async with serving(REGRESSION, SILENT) as client:
        for toy in (REGRESSION, SILENT):
            await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": toy.name})
        found = await scrape(client)
    assert found("prediction_flip_probability_count", **of(REGRESSION)) is None
    assert found("prediction_flip_probability_count", **of(SILENT)) == 1
    assert found("prediction_volatility_count", **of(REGRESSION)) == 1
    assert found("prediction_volatility_relative_count", **of(REGRESSION)) == 1
    assert found("prediction_volatility_relative_count", **of(SILENT)) is None
    assert found("prediction_volatility_count", **of(SILENT)) == 1


async def test_pixels_are_no_labels(serving: Serving) -> None:
    async with serving(IMAGE) as client:
        await client.post("/predict", json={"instances": [[-1, 300, 0, 0, 0, 0]]})
        found = await scrape(client)
    assert not list(found.labels("out_of_range_features_total"))
    assert "pixel_" not in found.text


async def test_labels_never_come_from_a_request(serving: Serving) -> None:
    async with serving(CLASSIFIER) as client:
        await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": "s3cret"})
        await client.post("/predict", json={"instances": [[1.0, 2.0]], "version": "s3cret"})
        await client.post("/predict", json={"instances": [{"s3cret": 1}]})
        await client.get("/s3cret")
        await client.get("/models/s3cret")
        await client.get("/models/s3cret/stability?version=s3cret")
        await client.request("S3CRET", "/predict")
        await client.request("S3CRET", "/s3cret")
        found = await scrape(client)
    assert "s3cret" not in found.text.lower()
    routes = {labels["route"] for labels in found.labels("request_duration_seconds_count")}
    assert routes == {"/predict", "/models/{name}", "/models/{name}/stability", "unmatched"}
    assert found("request_duration_seconds_count", route="/predict", method="OTHER", code="405") == 1
    assert found("request_duration_seconds_count", route="unmatched", method="OTHER", code="404") == 1


async def test_models_and_their_states(serving: Serving) -> None:
    failed = CLASSIFIER.with_graph("model", b"garbage")
    async with serving(CLASSIFIER, failed) as client:
        found = await scrape(client)
        for state in ("LOADING", "READY", "FAILED"):
            assert found("model_state", **of(CLASSIFIER), state=state) == (state == "READY")
            assert found("model_state", **of(CLASSIFIER, "2"), state=state) == (state == "FAILED")
        facts = {
            "sha256": CLASSIFIER.card().graphs["model"].sha256,
            "task": "classification",
            "provider": "CPUExecutionProvider",
            "method": "analytic",
        }
        assert found("model_info", **of(CLASSIFIER), **facts) == 1
        assert len(list(found.labels("model_info"))) == 1
        assert (found("model_loaded_timestamp_seconds", **of(CLASSIFIER)) or 0) > 1.6e9
        # What goes leaves nothing behind.
        await client.post("/predict", json={"instances": [[1e3, 2.0]]})
        assert "feature=" in (await scrape(client)).text
        app = client.app  # type: ignore[attr-defined]
        root = app.context.settings.models
        shutil.rmtree(root / "toy" / "2")
        replace(CLASSIFIER, seed=8).publish(root)
        shutil.rmtree(root / "toy" / "1")
        await app.context.repository.refresh()
        found = await scrape(client)
        assert {labels["version"] for labels in found.labels("model_state")} == {"2"}
        assert {
            dict(labels)["version"] for _, labels in found.samples if {"model", "version"} <= dict(labels).keys()
        } == {"2"}
        assert "feature=" not in found.text
        assert found("model_state", **of(CLASSIFIER, "2"), state="READY") == 1


async def test_publications_do_not_make_the_exposition_grow(serving: Serving) -> None:
    async with serving(CLASSIFIER, keep_versions=1) as client:
        app = client.app  # type: ignore[attr-defined]
        lines = []
        for seed in range(4):
            await client.post("/predict", json={"instances": [[1e3, 2.0]]})
            lines.append(len((await scrape(client)).text.splitlines()))
            replace(CLASSIFIER, seed=seed).publish(app.context.settings.models)
            await app.context.repository.refresh()
    assert lines[1:] == [lines[1]] * 3


async def test_a_request_that_outlives_its_version_brings_no_series_back(serving: Serving) -> None:
    async with serving(SLOW, CLASSIFIER, inline_milliseconds=0) as client:
        app = client.app  # type: ignore[attr-defined]
        body = {"model": "slow", "instances": [[5e5, 1e3]]}
        asked = asyncio.create_task(client.post("/predict", json=body))
        await asyncio.sleep(0.1)
        shutil.rmtree(app.context.settings.models / "slow")
        await app.context.repository.refresh()
        assert not asked.done()
        assert (await asked).status_code == 200
        assert 'model="slow"' not in (await scrape(client)).text


async def test_replaced_files_go_on_counting(serving: Serving) -> None:
    async with serving(CLASSIFIER, REGRESSION) as client:
        app = client.app  # type: ignore[attr-defined]
        root = app.context.settings.models
        await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": "toy"})
        shutil.rmtree(root / "toy")
        replace(CLASSIFIER, seed=8).publish(root)
        await app.context.repository.refresh()
        await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": "toy"})
        found = await scrape(client)
    assert found("prediction_volatility_count", **of(CLASSIFIER)) == 2
    facts = {labels["sha256"] for labels in found.labels("model_info") if labels["model"] == "toy"}
    assert facts == {replace(CLASSIFIER, seed=8).card().graphs["model"].sha256}


async def test_waiting_requests_are_a_gauge(serving: Serving) -> None:
    async with serving(SLOW, inline_milliseconds=0) as client:
        asked = [asyncio.create_task(client.post("/predict", json={"instances": [[3e5, 0.0]]}))]
        await asyncio.sleep(0.1)
        asked += [asyncio.create_task(client.post("/predict", json={"instances": [[0.0, 0.0]]})) for _ in range(3)]
        await asyncio.sleep(0.05)
        found = await scrape(client)
        await asyncio.gather(*asked)
        after = await scrape(client)
    assert found("queue_depth", model="slow") == 3
    assert found("requests_in_progress") == 5
    assert after("queue_depth", model="slow") == 0
    assert after("requests_in_progress") == 1


async def test_applications_do_not_share_their_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.rejected.labels("queue-full").inc()
    assert b"queue-full" in one.registry.snapshot().text("")[0]
    assert b"queue-full" not in other.registry.snapshot().text("")[0]


async def test_openmetrics_is_well_formed(serving: Serving) -> None:
    async with serving(*MODELS, window_minimum_rows=5) as client:
        await traffic(client)
        response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    families = {family.name for family in parse_openmetrics(response.text)}
    assert {"chainzrule_predictions", "chainzrule_model"} <= families


async def test_promtool_finds_no_fault(serving: Serving) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    async with serving(*MODELS, window_minimum_rows=5) as client:
        await traffic(client)
        response = await client.get("/metrics")
    check = subprocess.run([promtool, "check", "metrics"], input=response.content, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
