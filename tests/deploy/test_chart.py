"""The Helm chart, rendered by Helm itself and held against the schemas and types of what reads it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.processes import ROOT

pytestmark = pytest.mark.deploy

CHART = ROOT / "deploy" / "kubernetes" / "chainzrule"
TOOLS = ROOT / ".venv-deploy" / "bin"
CHECK = ROOT / "tests" / "deploy" / "tools" / "check_manifests.py"
ALL = "autoscaling.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true"
KSERVE = f"kserve.enabled=true,{ALL}"
VARIANTS = {
    "plain": [],
    "gpu": ["-f", str(CHART / "values-gpu.yaml")],
    "all": ["--set", ALL],
    "volume": ["--set", "models.existingClaim=models,settings.max_rows=64"],
    "kserve": ["--set", KSERVE],
    "kserve with a volume": ["--set", f"{KSERVE},kserve.storageUri=pvc://models"],
}


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if not (TOOLS / "helm").exists():
        pytest.skip("`make test-deploy` installs Helm")
    return subprocess.run([TOOLS / "helm", *words], capture_output=True, text=True, check=False, timeout=60)


def render(*words: str) -> str:
    done = helm("template", "stable", CHART, "--namespace", "predictions", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(*words: str) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in yaml.safe_load_all(render(*words)) if document}


def checked(rendered: str) -> subprocess.CompletedProcess[str]:
    command = [TOOLS / "python", CHECK]
    return subprocess.run(command, input=rendered, capture_output=True, text=True, check=False, timeout=120)


def test_the_chart_passes_the_lint() -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_are_what_their_readers_take(variant: str) -> None:
    rendered = render(*VARIANTS[variant])
    done = checked(rendered)
    assert done.returncode == 0, done.stderr
    kinds = {document["kind"] for document in yaml.safe_load_all(rendered) if document}
    assert set(done.stdout.split()) == kinds
    assert kinds >= ({"InferenceService", "ServingRuntime"} if "kserve" in variant else {"Deployment", "Service"})


@pytest.mark.parametrize(
    ("variant", "right", "wrong"),
    [
        ("plain", "maxUnavailable", "maxUnavailables"),
        ("plain", "runAsNonRoot", "runAsNoRoot"),
        ("all", "jobLabel", "jobLabels"),
        ("kserve", "protocolVersions", "protocolVersion"),
        ("kserve", "imagePullPolicy", "imagePullPolicies"),
    ],
)
def test_a_misspelt_field_is_noticed(variant: str, right: str, wrong: str) -> None:
    rendered = render(*VARIANTS[variant])
    assert right in rendered
    assert checked(rendered.replace(right, wrong)).returncode != 0


@pytest.mark.parametrize(
    "values", ["replicas=0", "image.digest=latest", "settings.port=9000", "unknown=1", "drainGrace=-1"]
)
def test_values_that_make_no_sense_are_refused(values: str) -> None:
    done = helm("template", "stable", CHART, "--set", values)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("variant", VARIANTS)
def test_replicas_are_confined_and_probed(variant: str) -> None:
    found = manifests(*VARIANTS[variant])
    if "kserve" in variant:
        [container], spec = (
            found["ServingRuntime"]["spec"]["containers"],
            found["InferenceService"]["spec"]["predictor"],
        )
    else:
        spec = found["Deployment"]["spec"]["template"]["spec"]
        [container] = spec["containers"]
    security = container["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (variant == "gpu")
    # Nothing in flight is cut off: the pod outlives the drain and what follows it.
    settings = {entry["name"]: entry["value"] for entry in container["env"]}
    drain = float(settings["CHAINZRULE_DRAIN_GRACE"]) + float(settings["CHAINZRULE_SHUTDOWN_TIMEOUT"])
    assert spec["terminationGracePeriodSeconds"] >= drain
    # Longer unready than the probe needs to see it, and the endpoints to follow.
    assert float(settings["CHAINZRULE_DRAIN_GRACE"]) > container["readinessProbe"]["periodSeconds"]


def test_every_setting_that_is_passed_is_one() -> None:
    [container] = manifests(*VARIANTS["volume"])["Deployment"]["spec"]["template"]["spec"]["containers"]
    known = {f"CHAINZRULE_{name.upper()}" for name in Settings.model_fields}
    assert {entry["name"] for entry in container["env"]} <= known
    assert {"name": "CHAINZRULE_MAX_ROWS", "value": "64"} in container["env"]


def test_the_operator_gets_the_rules_that_are_tested_here() -> None:
    shipped = [
        rule
        for name in ("recording", "alerts")
        for group in yaml.safe_load((ROOT / "deploy/prometheus/rules" / f"{name}.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    rendered = manifests(*VARIANTS["all"])["PrometheusRule"]["spec"]["groups"]
    assert [rule for group in rendered for rule in group["rules"]] == shipped


def test_the_autoscaler_follows_a_metric_that_the_service_has() -> None:
    scaler = manifests(*VARIANTS["all"])["HorizontalPodAutoscaler"]["spec"]
    name = scaler["metrics"][0]["pods"]["metric"]["name"]
    assert f"`{name}`" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "replicas" not in manifests(*VARIANTS["all"])["Deployment"]["spec"]
