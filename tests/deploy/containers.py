"""A real container engine for the tests: Docker where it runs, else Podman, without any registry.

Podman gets images made from Debian's own packages under the names that the Dockerfile and the compose file ask for:
Debian 12's Python 3.11 for the base image; Debian 13's Alertmanager 0.28.1 and HAProxy 3.0, which are the pinned ones,
and its Prometheus 2.53. There is none for Grafana.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT

FOLDER = ROOT / "build" / "containers"  # kept between runs: base images take a minute or two to make
TOOLS = ROOT / ".venv-deploy" / "bin"
BASE = "docker.io/library/python:3.11-slim"
STAND_INS = {
    "docker.io/prom/prometheus:v3.5.0": ("nobody", "/usr/bin/prometheus"),
    "docker.io/prom/alertmanager:v0.28.1": ("nobody", "/usr/bin/prometheus-alertmanager"),
    "docker.io/library/haproxy:3.0.11-alpine": ("haproxy", "/usr/sbin/haproxy -f /usr/local/etc/haproxy/haproxy.cfg"),
}
NETWORK = ("/usr/lib/podman/netavark", "/usr/lib/podman/aardvark-dns", "iptables")
PROGRAMS = ("podman", "runc", "debootstrap", "catatonit", *NETWORK)
# Two containers that find each other by name: what a machine must allow besides having the programs.
PROBE = f"""
podman network create probe
trap 'podman rm --force --time 0 probed; podman network rm --force probe' EXIT
podman run --detach --name probed --network probe {BASE} python3 -m http.server 8000
ask="import time, urllib.request as r; time.sleep(2); r.urlopen('http://probed:8000', timeout=10)"
podman run --rm --network probe {BASE} python3 -c "$ask"
"""
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


@dataclass(frozen=True)
class Engine:
    """How to run `docker` and `docker compose`.

    Attributes:
        environment: what commands need, `docker` on the PATH included.
        stand_ins: whether images are made here, and Grafana's is missing.
    """

    environment: dict[str, str]
    stand_ins: bool

    def run(self, command: str, folder: Path, seconds: float = 300) -> str:
        """What a shell command prints; fails the test where the command fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


def engine() -> Engine:
    """The engine of this machine, with every image that is needed; skips the test where there is none."""
    if _docker_runs():
        return Engine(dict(os.environ), stand_ins=False)
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"neither Docker nor all of Podman is here: {', '.join(missing)} not found (see .ci/run)")
    if os.geteuid() != 0:
        pytest.skip("Podman's stand-in images are made with debootstrap, which needs root")
    if not (TOOLS / "podman-compose").exists():
        pytest.skip("`make test-deploy` installs podman-compose")
    found = Engine(_podman_environment(), stand_ins=True)
    _download_wheels()
    try:
        _make_images(found)
        found.run(PROBE, FOLDER, seconds=60)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"Podman can run no containers on this machine:\n{error}")
    return found


def _docker_runs() -> bool:
    docker = shutil.which("docker")
    asked = (["compose", "version"], ["info"])
    return docker is not None and all(
        subprocess.run([docker, *words], capture_output=True, check=False, timeout=60).returncode == 0
        for words in asked
    )


def _podman_environment() -> dict[str, str]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "containers.conf").write_text(CONTAINERS_CONF.format(folder=FOLDER))
    (FOLDER / "storage.conf").write_text(STORAGE_CONF.format(folder=FOLDER))
    (FOLDER / "bin").mkdir(exist_ok=True)
    build = (
        f"--isolation chroot --pull=never --format docker --volume {FOLDER}/wheels:/wheels:ro "
        "--build-arg PIP_ARGS='--no-index --find-links /wheels'"
    )
    docker = FOLDER / "bin" / "docker"
    docker.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = compose ] || exec podman "$@"\n'
        f'shift; exec {TOOLS}/podman-compose --podman-build-args={shlex.quote(build)} "$@"\n'
    )
    docker.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{docker.parent}:{os.environ['PATH']}",
        "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
    }


def _make_images(podman: Engine) -> None:
    if _exists(podman, *STAND_INS, BASE):
        return
    base, tools = FOLDER / "base", FOLDER / "tools"
    for folder in (base, tools):
        shutil.rmtree(folder, ignore_errors=True)
    include = "--include=python3,python3-venv,ca-certificates"
    podman.run(f"debootstrap --variant=minbase {include} bookworm {base}", FOLDER, seconds=600)
    shutil.rmtree(base / "var/lib/apt/lists")
    shutil.rmtree(base / "var/cache/apt")
    podman.run(f"debootstrap --variant=minbase trixie {tools} && cp /etc/resolv.conf {tools}/etc/", FOLDER, seconds=600)
    (tools / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # starts no service
    (tools / "usr/sbin/policy-rc.d").chmod(0o755)
    packages = "prometheus prometheus-alertmanager haproxy wget"
    podman.run(
        f"export DEBIAN_FRONTEND=noninteractive; chroot {tools} apt-get update -qq && "
        f"chroot {tools} apt-get install -y -qq --no-install-recommends {packages}",
        FOLDER,
        seconds=600,
    )
    for folder, name in ((base, BASE), (tools, "localhost/tools")):
        podman.run(f"tar -C {folder} -c . | podman import -q - {name}", FOLDER)
        shutil.rmtree(folder)
    for name, (user, entry) in STAND_INS.items():
        words = ", ".join(f'"{word}"' for word in entry.split())
        steps = (
            "FROM localhost/tools",
            "RUN mkdir -p /prometheus /alertmanager && chown nobody:nogroup /prometheus /alertmanager",
            f"USER {user}",
            f"ENTRYPOINT [{words}]",
        )
        (FOLDER / "Stand-in").write_text("\n".join(steps))
        podman.run(f"podman build -q --isolation chroot --pull=never --format docker -t {name} -f Stand-in bin", FOLDER)


def _exists(podman: Engine, *names: str) -> bool:
    known = podman.run("podman images --format '{{.Repository}}:{{.Tag}}'", FOLDER).split()
    return set(names) <= set(known)


def _download_wheels() -> None:
    """What the Dockerfile installs, for Debian's Python 3.11; inside a build there is no index."""
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", FOLDER / "wheels"]
    listed = ["--require-hashes", "--no-deps", "-r", "requirements/cpu.txt"]
    platform = ["--only-binary=:all:", "--python-version=3.11"]
    done = subprocess.run([*command, *platform, *listed], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def size(engine: Engine, image: str) -> int:
    """Bytes of an image's own files, without those of its base image."""
    if not engine.stand_ins:  # Docker builds on a base image without listing it
        engine.run(f"docker pull --quiet {BASE}", ROOT)
    sizes = [int(engine.run(f"docker image inspect --format '{{{{.Size}}}}' {name}", ROOT)) for name in (image, BASE)]
    return sizes[0] - sizes[1]
