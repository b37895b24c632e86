"""The files under deploy/ point at one another, at the Dockerfile and at files that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from service.settings import Settings

COMPOSE = Path("deploy/compose.yaml")
DOCKERFILE = Path("Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def load(path: str) -> Any:
    return yaml.safe_load(Path("deploy", path).read_text(encoding="utf-8"))


def mounts(service: str) -> dict[str, tuple[str, str]]:
    """Where each volume of a service is mounted: its source and its mode."""
    parts = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {target: (source, mode[0] if mode else "rw") for source, target, *mode in parts}


def container_ports(service: str) -> set[int]:
    return {int(port.rsplit(":", 1)[1]) for port in SERVICES[service]["ports"]}


def image_setting(name: str) -> str:
    found = re.search(rf"\bCHAINZRULE_{name}=(\S+)", DOCKERFILE)
    assert found, f"the Dockerfile does not set CHAINZRULE_{name}"
    return found[1]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_checked_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"]
    tag = service["image"].partition(":")[2]
    assert tag == "local" if "build" in service else re.fullmatch(r"v?\d+\.\d+\.\d+", tag), service["image"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_bind_mounts_exist_and_are_read_only() -> None:
    volumes = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    for name in SERVICES:
        for target, (source, mode) in mounts(name).items():
            if source.startswith("."):
                assert (COMPOSE.parent / source).exists(), f"{name}: {source}"
                assert mode == "ro", f"{name}: {target} is writable"
            else:
                assert source in volumes


def test_no_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", key):
                assert str(value).startswith("${"), f"{name}: {key}"


def test_the_service_is_built_from_the_dockerfile_and_listens_where_it_says() -> None:
    build = SERVICES["service"]["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == Path("Dockerfile").resolve()
    port = int(image_setting("PORT"))
    assert container_ports("service") == {port}
    assert f"EXPOSE {port}" in DOCKERFILE.splitlines()
    assert f"127.0.0.1:{port}/readyz" in " ".join(SERVICES["service"]["healthcheck"]["test"])
    assert mounts("service")[image_setting("MODELS")] == ("../models", "ro")


def test_the_container_is_given_time_to_drain() -> None:
    default = Settings.model_construct()
    grace = float(SERVICES["service"]["stop_grace_period"].removesuffix("s"))
    assert grace > default.drain_grace + default.shutdown_timeout


def test_prometheus_scrapes_the_service_by_its_name() -> None:
    [target] = [arg for arg in SERVICES["prometheus"]["command"] if arg.startswith("--config.file=")]
    assert mounts("prometheus")[target.partition("=")[2]][0] == "./prometheus/prometheus.yml"
    jobs = {job["job_name"]: job for job in load("prometheus/prometheus.yml")["scrape_configs"]}
    [found] = jobs["chainzrule"]["dns_sd_configs"]
    assert found["names"] == ["service"]
    assert {found["port"]} == container_ports("service")
    assert jobs["prometheus"]["static_configs"] == [
        {"targets": [f"127.0.0.1:{p}" for p in container_ports("prometheus")]}
    ]


def test_prometheus_takes_its_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    checked = subprocess.run(
        [promtool, "check", "config", "deploy/prometheus/prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_grafana_finds_its_data_source_and_its_dashboards() -> None:
    mounted = mounts("grafana")
    assert mounted["/etc/grafana/provisioning"][0] == "./grafana/provisioning"
    [source] = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["url"] in {f"http://prometheus:{port}" for port in container_ports("prometheus")}
    [provider] = load("grafana/provisioning/dashboards/chainzrule.yaml")["providers"]
    assert mounted[provider["options"]["path"]][0] == "./grafana/dashboards"
    home = PurePosixPath(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert Path("deploy/grafana/dashboards", home.name).is_file()
    for dashboard in Path("deploy/grafana/dashboards").glob("*.json"):
        text = dashboard.read_text(encoding="utf-8")
        assert set(re.findall(r'"datasource": (\{[^}]*\})', text)), dashboard
        for used in re.findall(r'"datasource": (\{[^}]*\})', text):
            assert json.loads(used) == {"type": source["type"], "uid": source["uid"]}


def test_the_scrape_interval_is_the_one_that_grafana_reckons_with() -> None:
    [source] = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == load("prometheus/prometheus.yml")["global"]["scrape_interval"]
