"""Damaged artifacts are FAILED with their reason while another model keeps serving."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chainzrule.service.artifact.store import read_artifact
from chainzrule.service.errors import ArtifactError
from tests.artifacts import BINARY, CLASSIFIER, described, edited
from tests.service.conftest import serve

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def rewrite(home: Path, **changes: Any) -> None:
    card = json.loads((home / "card.json").read_text())
    card.update(changes)
    (home / "card.json").write_text(json.dumps(card))


def replace_graph(version: Path, content: bytes, role: str = "model") -> None:
    """Another graph, with the card's hash made to fit: only the self-check can find out."""
    (version / f"{role}.onnx").write_bytes(content)
    card = json.loads((version / "card.json").read_text())
    card["graphs"][role] = json.loads(described(content).model_dump_json())
    (version / "card.json").write_text(json.dumps(card))


def edit_graph(change: Callable[[onnx.ModelProto], object]) -> Damage:
    return lambda version: replace_graph(version, edited((version / "model.onnx").read_bytes(), change))


def truncate(version: Path) -> None:
    path = version / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(version: Path) -> None:
    content = bytearray((version / "jacobian.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (version / "jacobian.onnx").write_bytes(content)


def nan_weights(model: onnx.ModelProto) -> None:
    for initializer in model.graph.initializer:
        if initializer.name == "Wt":
            initializer.CopyFrom(numpy_helper.from_array(np.full((2, 3), np.nan, np.float32), "Wt"))


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["scores"], ["logits"]))
    next(output for output in model.graph.output if output.name == "scores").name = "logits"


def fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 2]))


def link(version: Path, name: str, target: Path | str) -> None:
    (version / name).unlink()
    (version / name).symlink_to(target)


def fifo(version: Path, name: str) -> None:
    (version / name).unlink()
    os.mkfifo(version / name)


def directory(version: Path, name: str) -> None:
    (version / name).unlink()
    (version / name).mkdir()


def huge(version: Path, name: str, size: int) -> None:
    with (version / name).open("r+b") as file:
        file.truncate(size)  # sparse: takes no room


def outside(version: Path) -> None:
    """A graph of the right content, but kept elsewhere."""
    elsewhere = version.parents[1] / "elsewhere.onnx"
    shutil.move(version / "model.onnx", elsewhere)
    (version / "model.onnx").symlink_to("../../elsewhere.onnx")


def card_text(text: str | bytes) -> Damage:
    content = text.encode() if isinstance(text, str) else text
    return lambda version: (version / "card.json").write_bytes(content)


def nan_in_card(version: Path) -> None:
    path = version / "card.json"
    text = path.read_text()
    assert '"accuracy":0.9' in text
    path.write_text(text.replace('"accuracy":0.9', '"accuracy":NaN'))


DAMAGES: list[tuple[str, Damage, str]] = [
    ("truncated graph", truncate, "model.onnx: its sha256 is not the card's"),
    ("one bit", flip_a_bit, "jacobian.onnx: its sha256 is not the card's"),
    (
        "truncated graph, rehashed",
        lambda v: replace_graph(v, (v / "model.onnx").read_bytes()[:200]),
        "model.onnx: ONNX Runtime cannot load it",
    ),
    (
        "no graph at all",
        lambda v: replace_graph(v, b"garbage", "jacobian"),
        "jacobian.onnx: ONNX Runtime cannot load it",
    ),
    ("empty graph", lambda v: replace_graph(v, b""), "model.onnx: "),
    (
        "other hash",
        lambda v: rewrite(v, graphs={r: {"sha256": "0" * 64, "opset": 20} for r in ("model", "jacobian")}),
        "sha256 is not the card's",
    ),
    ("NaN weights", edit_graph(nan_weights), "model.onnx: does not reproduce the golden rows' scores"),
    ("renamed output", edit_graph(rename_output), "model.onnx: must have exactly the outputs"),
    ("fixed batch", edit_graph(fix_batch), "model.onnx: features must have the shape"),
    (
        "graphs exchanged",
        lambda v: replace_graph(v, (v / "jacobian.onnx").read_bytes()),
        "model.onnx: must have exactly the outputs",
    ),
    ("another model's graph", lambda v: replace_graph(v, BINARY.graphs["model"]), "must have the shape"),
    ("surplus file", lambda v: (v / "notes.txt").write_text("hello"), "which the card does not name"),
    ("surplus directory", lambda v: (v / "more").mkdir(), "which the card does not name"),
    ("missing graph", lambda v: (v / "jacobian.onnx").unlink(), "jacobian.onnx: is missing"),
    ("missing card", lambda v: (v / "card.json").unlink(), "card.json: is missing"),
    ("empty directory", lambda v: [path.unlink() for path in v.iterdir()], "card.json: is missing"),
    ("link to the card", lambda v: link(v, "card.json", "/etc/hostname"), "card.json: is a link that leads out"),
    ("link out of the directory", outside, "model.onnx: is a link that leads out"),
    ("link to nowhere", lambda v: link(v, "model.onnx", "nowhere"), "model.onnx: is not a readable regular file"),
    ("link to itself", lambda v: link(v, "model.onnx", "model.onnx"), "model.onnx: is not a readable regular file"),
    (
        "link to endless zeros",
        lambda v: link(v, "model.onnx", "/dev/zero"),
        "model.onnx: is a link that leads out",
    ),
    ("pipe for a graph", lambda v: fifo(v, "model.onnx"), "model.onnx: is not a readable regular file"),
    ("pipe for the card", lambda v: fifo(v, "card.json"), "card.json: is not a readable regular file"),
    ("directory for a graph", lambda v: directory(v, "model.onnx"), "model.onnx: is not a readable regular file"),
    ("directory for the card", lambda v: directory(v, "card.json"), "card.json: is not a readable regular file"),
    ("huge card", lambda v: huge(v, "card.json", 2**26 + 1), "card.json: is larger than"),
    ("huge graph", lambda v: huge(v, "model.onnx", 2**31), "model.onnx: is larger than"),
    ("path for a name", lambda v: rewrite(v, name="../toy"), "card.json.name: "),
    (
        "another name",
        lambda v: rewrite(v, name="other"),
        "card.json: its name and version are not those of its directory",
    ),
    (
        "another version",
        lambda v: rewrite(v, version="2"),
        "card.json: its name and version are not those of its directory",
    ),
    (
        "unknown schema",
        lambda v: rewrite(v, schema_version=99),
        "card.json: schema_version 99 is unknown; this service reads 1",
    ),
    ("unknown field", lambda v: rewrite(v, novelty=1), "card.json.novelty: "),
    ("unknown graph", lambda v: rewrite(v, graphs={"../../x": {"sha256": "0" * 64, "opset": 1}}), "card.json.graphs"),
    ("NaN in the card", nan_in_card, "card.json.quality.accuracy: "),
    ("card that is not JSON", card_text("not json"), "card.json: Invalid JSON"),
    ("empty card", card_text(""), "card.json: Invalid JSON"),
    ("binary card", card_text(b"\xff\x00\xfe"), "card.json: Invalid JSON"),
    ("deep card", card_text("[" * 1_000_000), "card.json: Invalid JSON"),
    ("card of another kind", card_text("[]"), "card.json: "),
]


@pytest.mark.anyio
async def test_damaged_artifacts_fail_with_their_reason_while_another_serves(tmp_path: Path) -> None:
    """All damages at once: a version of its own model each, beside one that is sound."""
    names = {}
    for number, (name, damage, _) in enumerate(DAMAGES):
        toy = type(CLASSIFIER)(name=f"damaged-{number}", seed=CLASSIFIER.seed)
        damage(toy.write(tmp_path))
        names[name] = toy.name
    async with serve(tmp_path, BINARY, required_models=("binary",)) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        found = ready.json()["models"]
        assert found["binary"]["1"]["state"] == "READY"
        for name, _, reason in DAMAGES:
            state = found[names[name]]["1"]
            assert state["state"] == "FAILED", name
            assert reason in state["reason"], name
            assert str(tmp_path) not in state["reason"]
            response = await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": names[name]})
            assert response.status_code == 503, name
        answer = await client.post("/predict", json={"instances": [[1.0, 2.0]], "model": "binary"})
        assert answer.status_code == 200
        metrics = (await client.get("/metrics")).text
        assert metrics.count('state="FAILED",version="1"} 1.0') == len(DAMAGES)
        assert metrics.count('state="READY",version="1"} 1.0') == 1


@pytest.mark.anyio
async def test_a_damaged_newer_version_leaves_the_older_in_service(tmp_path: Path) -> None:
    CLASSIFIER.publish(tmp_path)
    truncate(CLASSIFIER.write(tmp_path, "2"))
    async with serve(tmp_path) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = (await client.post("/predict", json={"instances": [[1.0, 2.0]]})).json()
        assert answer["version"] == "1"
        # Mended, it takes over.
        (tmp_path / "toy" / "2" / "model.onnx").write_bytes(CLASSIFIER.graphs["model"])
        await client.app.context.repository.refresh()  # type: ignore[attr-defined]
        answer = (await client.post("/predict", json={"instances": [[1.0, 2.0]]})).json()
        assert answer["version"] == "2"


@pytest.mark.anyio
async def test_a_copy_under_way_is_tried_until_it_is_whole(tmp_path: Path) -> None:
    source = CLASSIFIER.write(tmp_path / "source")
    target = tmp_path / "models" / "toy" / "1"
    target.mkdir(parents=True)
    async with serve(tmp_path / "models") as client:
        repository = client.app.context.repository  # type: ignore[attr-defined]
        for name in ("jacobian.onnx", "model.onnx", "card.json"):
            assert (await client.get("/readyz")).status_code == 503
            shutil.copy(source / name, target / name)
            await repository.refresh()
        assert (await client.get("/readyz")).status_code == 200


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number, (_, damage, _) in enumerate(DAMAGES):
        version = CLASSIFIER.write(tmp_path / str(number))
        damage(version)
        with contextlib.suppress(ArtifactError):
            read_artifact(version)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_pipe_with_a_writer_does_not_hang(tmp_path: Path) -> None:
    version = CLASSIFIER.write(tmp_path)
    fifo(version, "model.onnx")
    writer = os.open(version / "model.onnx", os.O_RDWR)
    try:
        with pytest.raises(ArtifactError, match="not a readable regular file"):
            read_artifact(version)
    finally:
        os.close(writer)


def test_the_sound_artifact_is_sound(tmp_path: Path) -> None:
    artifact = read_artifact(CLASSIFIER.write(tmp_path))
    assert artifact.card == CLASSIFIER.card()
    assert artifact.graphs == CLASSIFIER.graphs
