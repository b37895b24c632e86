"""Stock clients of other servers, each in an environment of its own, against a real server on the shipped models.

`make test-clients` makes the environments and runs these.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from chainzrule.service.artifact.card import parse_card
from tests.processes import ROOT, free_port, service

pytestmark = pytest.mark.clients
ENVIRONMENTS = ROOT / ".venv-clients"
MODELS = ("breast-cancer", "diabetes", "digits")
PATIENTS = [
    [59, "2", 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87],
    [48, "1", 21.6, 87, 183, 103.2, 70, 3, 3.8918, 69],
    [72, "2", 30.5, 93, 156, 93.6, 41, 4, 4.6728, 85],
]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[list[Any]]]:
    """Rows of each model as /predict takes them, exact in float32."""
    found: dict[str, list[list[Any]]] = {"diabetes": PATIENTS}
    for model in ("breast-cancer", "digits"):
        golden = parse_card((ROOT / "models" / model / "1" / "card.json").read_bytes()).golden.features
        found[model] = np.frombuffer(golden.raw, "<f4").reshape(golden.shape).astype(float).tolist()
    return found


@pytest.fixture(scope="module")
def questions(shipped_server: str, rows: dict[str, list[list[Any]]]) -> dict[str, list[Any]]:
    """The same as tensors, by what the models' metadata asks for."""
    found = {}
    for model, listed in rows.items():
        wanted = httpx.get(f"{shipped_server}/v2/models/{model}").json()["inputs"]
        if len(wanted) == 1:
            found[model] = [[wanted[0]["name"], wanted[0]["datatype"], listed]]
        else:
            columns = zip(*listed, strict=True)
            found[model] = [
                [tensor["name"], tensor["datatype"], [[value] for value in column]]
                for tensor, column in zip(wanted, columns, strict=True)
            ]
    return found


def expected(server: str, model: str, rows: list[list[Any]], scale: float = 1.0) -> dict[str, Any]:
    """The outputs as /predict and /sensitivity say them."""
    question = {"model": model, "instances": rows, "noise_scale": scale}
    said = httpx.post(f"{server}/sensitivity", json={**question, "include": ["jacobian"]}, timeout=30).json()
    found: dict[str, list[Any]] = {"jacobian": [row["jacobian"] for row in said["predictions"]]}
    for row in said["predictions"]:
        stability = row["stability"]
        values = {
            "label": row.get("label"),
            "value": row.get("value"),
            "volatility": stability["volatility"],
            "flip_probability": stability.get("flip_probability"),
            "gradient_norm": stability["gradient_norm"],
            "verdict": stability["verdict"],
        }
        for name, value in values.items():
            if value is not None:
                found.setdefault(name, []).append([value])
        if "probabilities" in row:
            found.setdefault("probabilities", []).append(list(row["probabilities"].values()))
    return found


def assert_equal(outputs: dict[str, Any], wanted: dict[str, Any], names: set[str]) -> None:
    assert names <= outputs.keys()
    for name in outputs.keys() & wanted.keys():
        if isinstance(wanted[name][0][0], str):
            assert outputs[name] == wanted[name], name
        else:
            np.testing.assert_allclose(outputs[name], wanted[name], rtol=2e-4, atol=1e-6, err_msg=name)


def python(client: str) -> Path:
    found = ENVIRONMENTS / client / "bin" / "python"
    if not found.exists():
        pytest.skip("make test-clients installs the clients")
    return found


def run(client: str, script: str, *arguments: str) -> Any:
    command = [python(client), "-E", "-W", "ignore", ROOT / "tests" / "clients" / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def usual(server: str, model: str) -> set[str]:
    return {output["name"] for output in httpx.get(f"{server}/v2/models/{model}").json()["outputs"]}


def test_tritonclient(shipped_server: str, rows: dict[str, Any], questions: dict[str, Any]) -> None:
    answers = run("tritonclient", "ask_triton.py", shipped_server.removeprefix("http://"), json.dumps(questions))
    assert answers["server"]["name"] == "chainzrule"
    assert "binary_tensor_data" in answers["server"]["extensions"]
    ready = [(item["name"], item["version"]) for item in answers["index"] if item["state"] == "READY"]
    assert ready == [(model, "1") for model in MODELS]
    for model in MODELS:
        found = answers[model]
        assert found["metadata"]["platform"] == "onnx_onnxv1"
        further = {"gradient_norm", "scores", "covariance", "jacobian"}
        wanted = expected(shipped_server, model, rows[model])
        for way in ("binary", "json", "gzip"):
            assert (found[way]["id"], found[way]["version"]) == ("ask", "1")
            assert_equal(found[way]["outputs"], wanted, usual(shipped_server, model) | further)
        wanted = expected(shipped_server, model, rows[model], scale=2.0)
        assert_equal(found["scaled"]["outputs"], wanted, usual(shipped_server, model))
        (statistics,) = found["statistics"]["model_stats"]
        assert statistics["inference_count"] >= 8 * len(rows[model])
        assert statistics["inference_stats"]["success"]["count"] >= 8
    assert {item["name"] for item in answers["statistics"]["model_stats"]} == set(MODELS)
    assert [status for status, _ in answers["refusals"]] == ["404", "400", "403"]
    assert all(message for _, message in answers["refusals"])


@pytest.fixture
def administered() -> Iterator[str]:
    with service(ROOT / "models", "--admin", "true") as (address, _):
        yield address


def test_tritonclient_unloads_and_loads(administered: str) -> None:
    index = run("tritonclient", "ask_triton.py", administered.removeprefix("http://"))
    assert {item["name"] for item in index if item["state"] == "READY"} == set(MODELS)


@pytest.fixture(scope="module")
def grpc_server() -> Iterator[tuple[str, str]]:
    """A server on the shipped models: its address, and that of gRPC."""
    pytest.importorskip("grpc")
    port = free_port()
    with service(ROOT / "models", "--admin", "true", "--grpc-port", str(port)) as (address, _):
        yield address, f"127.0.0.1:{port}"


def test_tritonclient_by_grpc(grpc_server: tuple[str, str], rows: dict[str, Any], questions: dict[str, Any]) -> None:
    server, address = grpc_server
    answers = run("tritonclient", "ask_triton_grpc.py", address, json.dumps(questions))
    assert answers["server"]["name"] == "chainzrule"
    assert [(item["name"], item["version"]) for item in answers["index"]] == [(model, "1") for model in MODELS]
    for model in MODELS:
        found = answers[model]
        assert found["metadata"]["platform"] == "onnx_onnxv1"
        assert found["config"]["max_batch_size"] == 4096
        wanted = expected(server, model, rows[model])
        assert (found["raw"]["id"], found["raw"]["version"]) == ("ask", "1")
        further = {"gradient_norm", "scores", "covariance", "jacobian"}
        assert_equal(found["raw"]["outputs"], wanted, usual(server, model) | further)
        first, refused, third = found["streamed"]
        assert "no such model" in refused
        assert (first["id"], third["id"]) == ("first", "third")
        assert_equal(third["outputs"], wanted, usual(server, model))
        assert_equal(found["scaled"]["outputs"], expected(server, model, rows[model], 2.0), usual(server, model))
        (statistics,) = found["statistics"]["model_stats"]
        assert int(statistics["inference_count"]) >= 4 * len(rows[model])
    codes = [status for status, _ in answers["refusals"]]
    assert codes == ["StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT"]
    index = run("tritonclient", "ask_triton_grpc.py", address)
    assert {item["name"] for item in index if item["state"] == "READY"} == set(MODELS)


def test_messages_are_those_of_tritonclient() -> None:
    pytest.importorskip("grpc")
    from chainzrule.service.grpc.messages import INFERENCE, POOL

    theirs = run("tritonclient", "ask_descriptors.py")
    file = POOL.FindFileByName("inference.proto")
    waiting = list(file.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        for field in message.fields:
            kind = field.message_type or field.enum_type
            own = [field.number, field.type, field.is_repeated, kind.full_name if kind else None]
            assert theirs["messages"][message.full_name][field.name] == own, f"{message.full_name}.{field.name}"
    for method in file.services_by_name[INFERENCE.rpartition(".")[2]].methods:
        streaming = [method.client_streaming, method.server_streaming]
        assert theirs["methods"][method.name] == [method.input_type.full_name, method.output_type.full_name, *streaming]
    values = file.enum_types_by_name["DataType"].values
    assert {value.name: value.number for value in values} == theirs["types"]


def test_kserve(shipped_server: str, rows: dict[str, Any], questions: dict[str, Any]) -> None:
    answers = run("kserve", "ask_kserve.py", shipped_server.removeprefix("http://"), json.dumps(questions))
    for model in MODELS:
        wanted = expected(shipped_server, model, rows[model])
        for way in ("json", "binary"):
            assert_equal(answers[model][way], wanted, usual(shipped_server, model) | {"covariance"})
    status, message = answers["refusal"]
    assert status == 400
    assert "inputs" in message


@pytest.mark.parametrize("flags", [(), ("--binary-data",), ("--batch-size", "3", "--workers", "2")])
@pytest.mark.parametrize("model", MODELS)
def test_mlserver_infer(
    shipped_server: str,
    rows: dict[str, Any],
    questions: dict[str, Any],
    model: str,
    flags: tuple[str, ...],
    tmp_path: Path,
) -> None:
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    lines = []
    for row in range(len(rows[model])):  # one request a row
        tensors = [
            {"name": name, "datatype": datatype, "shape": [1, len(values[row])], "data": values[row]}
            for name, datatype, values in questions[model]
        ]
        lines.append(json.dumps({"id": f"row {row}", "inputs": tensors}))
    asked.write_text("\n".join(lines) + "\n")
    address = shipped_server.removeprefix("http://")
    command = [
        python("mlserver").with_name("mlserver"),
        *("infer", "-u", address, "-m", model, "-i", asked, "-o", answered, *flags),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answers = sorted(
        (json.loads(line) for line in answered.read_text().splitlines()),
        key=lambda answer: answer["parameters"]["batch_index"],
    )
    assert len(answers) == len(lines)
    assert not any("error" in answer for answer in answers), answers
    wanted = expected(shipped_server, model, rows[model])
    for row, answer in enumerate(answers):
        assert answer["id"] == f"row {row}"
        outputs = {output["name"]: [output["data"]] for output in answer["outputs"]}
        assert_equal(outputs, {name: [values[row]] for name, values in wanted.items()}, usual(shipped_server, model))
