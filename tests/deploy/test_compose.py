"""The files under deploy/ point at one another, at the Dockerfile and at files that exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from chainzrule.service.settings import Settings

COMPOSE = Path("deploy/compose.yaml")
DOCKERFILE = Path("Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


# Reads a compose file into the types of the compose specification, which refuse a field that it does not know.
READ = "import compose_spec, sys; compose_spec.PyCompose.from_yaml(sys.stdin.read())"


def load(path: str) -> Any:
    return yaml.safe_load(Path("deploy", path).read_text(encoding="utf-8"))


def mounts(service: str) -> dict[str, tuple[str, str]]:
    """Where each volume of a service is mounted: its source and its mode."""
    parts = [by_default(volume).split(":") for volume in SERVICES[service]["volumes"]]
    return {target: (source, mode[0] if mode else "rw") for source, target, *mode in parts}


def by_default(text: str) -> str:
    """The text with the default of each variable in its place."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def container_ports(service: str) -> set[int]:
    return {int(port.rsplit(":", 1)[1]) for port in SERVICES[service]["ports"]}


def service_port() -> int:
    """Where every replica listens inside the network."""
    return int(image_setting("PORT"))


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
    # Named, because a daemon may have another by default, which refuses this option.
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m"}}
    tag = service["image"].partition(":")[2]
    assert tag == "local" if "build" in service else re.fullmatch(r"v?\d+\.\d+\.\d+(-alpine)?", tag), service["image"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert {"cpus", "mem_limit", "pids_limit"} <= service.keys()


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
    assert f"EXPOSE {service_port()}" in DOCKERFILE.splitlines()
    assert f"127.0.0.1:{service_port()}/readyz" in " ".join(SERVICES["service"]["healthcheck"]["test"])
    assert mounts("service")[image_setting("MODELS")] == ("../models", "ro")


def test_the_gpu_variant_differs_in_its_device_alone() -> None:
    cpu, gpu = SERVICES["service"], SERVICES["service-gpu"]
    assert (cpu["build"]["args"], gpu["build"]["args"]) == ({"DEVICE": "cpu"}, {"DEVICE": "gpu"})
    assert gpu["profiles"] == ["gpu"]
    assert gpu["networks"]["default"]["aliases"] == ["service"]
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    own = {"build", "image", "profiles", "networks", "deploy"}
    assert {key: cpu[key] for key in cpu.keys() - own} == {key: gpu[key] for key in gpu.keys() - own}


def test_replicas_publish_no_port_and_the_proxy_finds_them_by_name() -> None:
    assert "ports" not in SERVICES["service"]
    [(_, (source, _))] = mounts("proxy").items()
    config = (COMPOSE.parent / source).read_text(encoding="utf-8")
    assert f" service:{service_port()} " in config
    assert {int(port) for port in re.findall(r"bind :(\d+)", config)} == container_ports("proxy")


def test_the_container_is_given_time_to_drain() -> None:
    default = Settings.model_construct()
    grace = float(SERVICES["service"]["stop_grace_period"].removesuffix("s"))
    assert grace > default.drain_grace + default.shutdown_timeout


def test_prometheus_scrapes_the_service_by_its_name() -> None:
    [target] = [arg for arg in SERVICES["prometheus"]["command"] if arg.startswith("--config.file=")]
    path = PurePosixPath(target.partition("=")[2])
    assert mounts("prometheus")[str(path.parent)][0] == "./prometheus"
    assert Path("deploy/prometheus", path.name).is_file()
    jobs = {job["job_name"]: job for job in load("prometheus/prometheus.yml")["scrape_configs"]}
    [found] = jobs["chainzrule"]["dns_sd_configs"]
    assert found["names"] == ["service"]
    assert found["port"] == service_port()
    assert jobs["prometheus"]["static_configs"] == [
        {"targets": [f"127.0.0.1:{p}" for p in container_ports("prometheus")]}
    ]


def test_prometheus_alerts_through_the_alertmanager_of_the_file() -> None:
    prometheus = load("prometheus/prometheus.yml")
    [found] = prometheus["alerting"]["alertmanagers"]
    targets = [f"alertmanager:{port}" for port in container_ports("alertmanager")]
    assert found["static_configs"] == [{"targets": targets}]
    assert prometheus["rule_files"] == ["rules/*.yml"]
    [target] = [arg for arg in SERVICES["alertmanager"]["command"] if arg.startswith("--config.file=")]
    path = PurePosixPath(target.partition("=")[2])
    assert mounts("alertmanager")[str(path.parent)] == ("./alertmanager", "ro")
    assert Path("deploy/alertmanager", path.name).is_file()


def test_nothing_is_used_that_docker_compose_1_29_does_not_know() -> None:
    assert set(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))) == {
        "x-hardening",
        "x-service",
        "services",
        "volumes",
    }
    for service in SERVICES.values():
        assert not {"gpus", "develop", "post_start", "pre_stop", "provider"} & service.keys()
        assert "start_interval" not in service["healthcheck"]


@pytest.mark.deploy
def test_it_is_what_the_compose_specification_says() -> None:
    python = Path(".venv-deploy/bin/python")
    if not python.exists():
        pytest.skip("`make test-deploy` installs the types of the compose specification")
    text = json.dumps(yaml.safe_load(by_default(COMPOSE.read_text(encoding="utf-8"))))  # merge keys are merged
    for given, accepted in ((text, True), (text.replace("pids_limit", "pid_limit"), False)):
        read = subprocess.run([python, "-c", READ], input=given, capture_output=True, text=True, check=False)
        assert (read.returncode == 0) == accepted, read.stderr


@pytest.mark.parametrize("command", [("docker-compose", "config", "-q"), ("docker", "compose", "config", "-q")])
@pytest.mark.parametrize("profile", [(), ("--profile", "gpu")])
def test_compose_takes_the_file(command: tuple[str, ...], profile: tuple[str, ...]) -> None:
    program = shutil.which(command[0])
    known = (
        program and subprocess.run([program, *command[1:-2], "version"], capture_output=True, check=False).returncode
    )
    if known != 0:
        pytest.skip(f"{' '.join(command[:-2])} is not installed (Debian: apt-get install docker-compose)")
    checked = subprocess.run(
        [*command[:-2], "-f", COMPOSE, *profile, *command[-2:]], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_haproxy_takes_its_configuration() -> None:
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is None:
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy)")
    checked = subprocess.run(
        [haproxy, "-c", "-f", "deploy/proxy/haproxy.cfg"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


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
