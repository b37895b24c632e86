"""The Helm chart, rendered by Helm itself and held against the schemas and types of what reads it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chainzrule import __version__
from chainzrule.service.settings import Settings
from tests.deploy.monitoring import tool
from tests.processes import ROOT

pytestmark = pytest.mark.deploy

CHART = ROOT / "deploy" / "kubernetes" / "chainzrule"
TOOLS = ROOT / ".venv-deploy" / "bin"
OPERATIONS = ROOT / "docs" / "operations.md"
CHECK = ROOT / "tests" / "deploy" / "tools" / "check_manifests.py"
ALL = "autoscaling.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true"
KSERVE = f"kserve.enabled=true,{ALL}"
VARIANTS = {
    "plain": [],
    "gpu": ["-f", str(CHART / "values-gpu.yaml")],
    "all": ["--set", ALL],
    "volume": [
        "--set",
        "models.existingClaim=models,tokenSecret=callers,signatureKeys=keys,policies=rules,settings.max_rows=64",
    ],
    "kserve": ["--set", KSERVE],
    "kserve with a volume": [
        "--set",
        f"{KSERVE},kserve.storageUri=pvc://models,tokenSecret=callers,signatureKeys=keys",
    ],
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
    "values",
    [
        "replicas=0",
        "image.digest=latest",
        "settings.port=9000",
        "settings.max_row=64",
        "unknown=1",
        "drainGrace=-1",
        "rollout.maxSurge=true",
    ],
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
    # Time for the endpoints to follow: Kubernetes takes a pod that ends out of them without a probe.
    assert float(settings["CHAINZRULE_DRAIN_GRACE"]) >= 5
    # Under load one late answer is no reason to send the others the load of this replica.
    assert container["readinessProbe"]["failureThreshold"] >= 3


def test_an_update_keeps_a_replica_ready_and_needs_no_gpu_that_is_not_there() -> None:
    for variant, surge in (("plain", 1), ("gpu", 0)):
        spec = manifests(*VARIANTS[variant])["Deployment"]["spec"]
        rollout = spec["strategy"]["rollingUpdate"]
        assert rollout["maxSurge"] == surge
        assert spec["replicas"] - rollout["maxUnavailable"] >= 1


def test_every_setting_that_is_passed_is_one() -> None:
    [container] = manifests(*VARIANTS["volume"])["Deployment"]["spec"]["template"]["spec"]["containers"]
    known = {f"CHAINZRULE_{name.upper()}" for name in Settings.model_fields}
    assert {entry["name"] for entry in container["env"]} <= known
    assert {"name": "CHAINZRULE_MAX_ROWS", "value": "64"} in container["env"]


@pytest.mark.parametrize(
    ("variant", "mounted"),
    [("volume", {"models", "token", "keys", "policies"}), ("kserve with a volume", {"token", "keys"})],
)
def test_what_is_mounted_is_read_only_and_where_the_settings_say(variant: str, mounted: set[str]) -> None:
    found = manifests(*VARIANTS[variant])
    spec = found["ServingRuntime"]["spec"] if "kserve" in variant else found["Deployment"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    settings = {entry["name"]: entry["value"] for entry in container["env"]}
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"] if mount["readOnly"]}
    assert set(places) == {volume["name"] for volume in spec["volumes"]} == mounted
    assert settings["CHAINZRULE_TOKEN_FILE"] == f"{places['token']}/token"
    assert settings["CHAINZRULE_REQUIRE_SIGNATURE"] == places["keys"]
    if "policies" in places:
        assert settings["CHAINZRULE_POLICIES"] == f"{places['policies']}/policies.toml"
    if "models" in places:
        assert settings["CHAINZRULE_MODELS"] == places["models"]


def test_settings_of_a_values_file_reach_the_service_as_they_are_written(tmp_path: Path) -> None:
    # Helm takes every number of a file for a float; only `--set` knows integers.
    written = {
        "max_body_bytes": 16777216,
        "request_timeout": 2.5,
        "measured_share": 0.00001,
        "access_log": True,
        "default_model": "007",
        "required_models": "digits,diabetes",
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"settings": written, "shutdownTimeout": 60}))
    [container] = manifests("-f", str(tmp_path / "values.yaml"))["Deployment"]["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"].removeprefix("CHAINZRULE_").lower(): entry["value"] for entry in container["env"]}
    read = Settings.model_validate_strings(environment)
    assert {name: getattr(read, name) for name in written} == written | {"required_models": ("digits", "diabetes")}
    assert read.shutdown_timeout == 60


def test_the_schema_knows_every_setting_but_those_that_the_chart_decides() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    own = {"host", "port", "models", "device", "drain_grace", "shutdown_timeout", "token_file", "require_signature"}
    own |= {"policies"}
    # Its probes, service and scrapes speak HTTP to the pod's address; encryption begins at the ingress.
    own |= {"grpc_port", "unix_socket", "tls_certificate", "tls_key", "tls_client_ca"}
    assert set(schema["properties"]["settings"]["propertyNames"]["enum"]) == set(Settings.model_fields) - own


def test_replicas_are_scraped_as_the_job_that_the_rules_know() -> None:
    plain, kserve = manifests(*VARIANTS["all"]), manifests(*VARIANTS["kserve"])
    monitor, service = plain["ServiceMonitor"]["spec"], plain["Service"]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "chainzrule"
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [end["port"] for end in monitor["endpoints"]] == [port["name"] for port in service["spec"]["ports"]]
    monitor = kserve["PodMonitor"]["spec"]
    name = kserve["InferenceService"]["metadata"]["name"]
    assert monitor["selector"] == {"matchLabels": {"serving.kserve.io/inferenceservice": name}}
    [end], [container] = monitor["podMetricsEndpoints"], kserve["ServingRuntime"]["spec"]["containers"]
    assert end["port"] in {port["name"] for port in container["ports"]}
    assert {"targetLabel": "job", "replacement": "chainzrule"} in end["relabelings"]


def test_scrapes_show_a_token_where_they_need_one() -> None:
    guarded = "tokenSecret=callers,settings.guard_metrics=true,serviceMonitor.tokenSecret=prometheus"
    wanted = {"credentials": {"name": "prometheus", "key": "token"}}
    for variant, kind, ends in (
        ("all", "ServiceMonitor", "endpoints"),
        ("kserve", "PodMonitor", "podMetricsEndpoints"),
    ):
        rendered = render(*VARIANTS[variant], "--set", guarded)
        assert checked(rendered).returncode == 0
        found = {document["kind"]: document for document in yaml.safe_load_all(rendered) if document}
        [end] = found[kind]["spec"][ends]
        assert end["authorization"] == wanted
        [end] = manifests(*VARIANTS[variant])[kind]["spec"][ends]
        assert "authorization" not in end


def test_grafanas_sidecar_gets_the_dashboards_that_are_tested_here() -> None:
    rendered = manifests(*VARIANTS["all"])["ConfigMap"]["data"]
    folder = ROOT / "deploy" / "grafana" / "dashboards"
    assert rendered == {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


def test_the_operator_gets_the_rules_that_are_tested_here() -> None:
    shipped = [
        rule
        for name in ("recording", "alerts")
        for group in yaml.safe_load((ROOT / "deploy/prometheus/rules" / f"{name}.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    rendered = manifests(*VARIANTS["all"])["PrometheusRule"]["spec"]["groups"]
    assert [rule for group in rendered for rule in group["rules"]] == shipped


def test_the_autoscaler_follows_a_metric_that_the_service_has(tmp_path: Path) -> None:
    scaler = manifests(*VARIANTS["all"])["HorizontalPodAutoscaler"]["spec"]
    name = scaler["metrics"][0]["pods"]["metric"]["name"]
    assert f"`{name}`" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "replicas" not in manifests(*VARIANTS["all"])["Deployment"]["spec"]
    # The adapter's rule that the documents give offers it, under this name, by pod.
    [written] = re.findall(r"```yaml\n(- seriesQuery.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    [rule] = yaml.safe_load(written)
    assert rule["seriesQuery"].startswith(f"{name}{{")
    assert "name" not in rule
    assert rule["resources"]["overrides"]["pod"] == {"resource": "pod"}
    expression = rule["metricsQuery"]
    for place, value in (("Series", name), ("LabelMatchers", 'namespace="a",pod=~"b|c"'), ("GroupBy", "pod")):
        expression = expression.replace(f"<<.{place}>>", value)
    rules = {"groups": [{"name": "adapter", "rules": [{"record": "asked", "expr": expression}]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    subprocess.run([tool("promtool"), "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)
