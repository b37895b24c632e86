"""The service on a real local Ray cluster: what it answers, what is scraped, and a replica's death under load."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import yaml

from tests.deploy.monitoring import await_that
from tests.deploy.traffic import digits, tables, traffic
from tests.processes import ROOT, free_port, service

pytestmark = pytest.mark.deploy

PROGRAMS = ROOT / ".venv-ray" / "bin"
START = 180  # seconds


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the shipped application, that has two replicas and adds a third sooner than as shipped."""
    if not (PROGRAMS / "serve").exists():
        pytest.skip("`make test-deploy` installs Ray")
    folder = tmp_path_factory.mktemp("ray")
    config = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text(encoding="utf-8"))
    config["http_options"]["port"] = free_port()
    [application] = config["applications"]
    application["runtime_env"]["env_vars"]["CHAINZRULE_MODELS"] = str(ROOT / "models")
    replica = next(one for one in application["deployments"] if one["name"] == "Replica")
    replica["autoscaling_config"] |= {"max_replicas": 3, "target_ongoing_requests": 1, "upscale_delay_s": 5}
    replica["ray_actor_options"] = {"num_cpus": 0.1}
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    address = f"http://127.0.0.1:{config['http_options']['port']}"
    with tempfile.TemporaryDirectory(prefix="ray") as sockets, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAMS / "serve", "run", folder / "serve.yaml"],
            cwd=ROOT,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": sockets},
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START
            while not ready(address):
                assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")[-4000:]
                assert time.monotonic() < deadline, (folder / "log").read_text(encoding="utf-8")[-4000:]
                time.sleep(0.5)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=30)


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=10).status_code == 200 and len(living(address)) == 2
    except (httpx.TransportError, json.JSONDecodeError):
        return False


def living(address: str) -> list[str]:
    """The replicas' own addresses, as Prometheus is told them."""
    return [
        target for group in httpx.get(f"{address}/metrics/targets", timeout=30).json() for target in group["targets"]
    ]


def replicas() -> list[int]:
    """The replicas' processes."""
    found = subprocess.run(["pgrep", "-f", "^ray::ServeReplica:chainzrule:Replica"], capture_output=True, check=False)
    return [int(word) for word in found.stdout.split()]


def test_answers_are_the_services(cluster: str) -> None:
    questions = [{"model": name, "instances": rows[:20]} for name, rows in tables().items()]
    questions.append({"model": "digits", "instances": digits()[:20].tolist()})
    questions += [{"model": "none", "instances": [[1]]}, {"model": "diabetes", "instances": [[1, 2]]}, {}]
    with service(ROOT / "models") as (address, _):
        for question in questions:
            here, there = (httpx.post(f"{where}/predict", json=question, timeout=30) for where in (address, cluster))
            assert there.status_code == here.status_code
            assert there.headers["content-type"] == here.headers["content-type"]
            assert without_id(there) == without_id(here)
        for path in ("/models", "/models/digits", "/v2/models/digits", "/v2", "/", "/ui/app.js", "/nothing"):
            here, there = (httpx.get(f"{where}{path}", timeout=30) for where in (address, cluster))
            assert (there.status_code, without_id(there)) == (here.status_code, without_id(here))
    assert len(there.headers.get_list("x-request-id")) == 1


def without_id(answer: httpx.Response) -> object:
    """What it says, but for the request's own id and the time at which this process loaded the model."""
    try:
        content = answer.json()
    except json.JSONDecodeError:
        return answer.text
    if isinstance(content, dict):
        for name in ("request_id", "loaded_at"):
            content.pop(name, None)
    return content


def test_every_replica_is_scraped_by_itself(cluster: str) -> None:
    def predicted() -> Counter[str]:
        counted: Counter[str] = Counter()
        for target in living(cluster):
            for line in httpx.get(f"http://{target}/metrics", timeout=30).text.splitlines():
                if line.startswith('chainzrule_predictions_total{model="breast-cancer"'):
                    counted[target] += int(float(line.split()[-1]))
        return counted

    before = predicted()
    rows = tables()["breast-cancer"][:5]
    for _ in range(40):
        answer = httpx.post(f"{cluster}/predict", json={"model": "breast-cancer", "instances": rows}, timeout=30)
        assert answer.status_code == 200
    assert (predicted() - before).total() == 40 * len(rows)
    assert len(predicted() - before) == 2, "both have answered"
    # Their own ports are open to other machines: nothing but scrapes goes in there.
    question = {"model": "breast-cancer", "instances": rows}
    for target in living(cluster):
        assert httpx.post(f"http://{target}/predict", json=question, timeout=30).status_code == 404
        assert httpx.get(f"http://{target}/models", timeout=30).status_code == 404


def test_a_replica_killed_under_load_loses_no_request_and_load_adds_one(cluster: str) -> None:
    before = set(living(cluster))
    with traffic([cluster], tables(), batch=4, pause=0.0, senders=8) as sent:
        await_that(lambda: sent.codes[200] > 200, 60, "requests are answered")
        os.kill(replicas()[0], signal.SIGKILL)
        await_that(lambda: len(living(cluster)) == 3 and len(set(living(cluster)) - before) == 2, 120, "two are new")
        answered = sent.codes[200]
        await_that(lambda: sent.codes[200] > answered + 200, 60, "requests are answered")
    assert set(sent.codes) == {200}


def test_the_ingress_holds_to_the_limit_on_bodies(cluster: str) -> None:
    answer = httpx.post(f"{cluster}/predict", content=b" " * (64 * 2**20), timeout=60)
    assert answer.status_code == 413
