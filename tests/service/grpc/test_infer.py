"""`ModelInfer` and `ModelStreamInfer` say what the routes say, and refuse what they refuse."""

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.artifacts import ALL, CLASSIFIER, IMAGE, MIXED, Toy
from tests.service.api.oip.messages import features as json_features
from tests.service.api.oip.messages import infer, inputs
from tests.service.conftest import Serving

pytest.importorskip("grpc")

from tests.service.grpc.calls import (
    ANSWER,
    REQUEST,
    STREAMED,
    Caller,
    calling,
    outputs,
    raw,
    refused,
    typed,
)

pytestmark = pytest.mark.anyio
NUMERIC = [toy for toy in ALL if toy is not MIXED]
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.mark.parametrize("write", [raw, typed], ids=["raw", "typed"])
@pytest.mark.parametrize("toy", NUMERIC, ids=lambda toy: toy.name)
async def test_answers_are_those_of_the_route(caller: Caller, toy: Toy, write: Any) -> None:
    rows = toy.rows(5)
    answer = await caller.ask("ModelInfer", **write(toy.name, rows, id="seven"))
    assert (answer.model_name, answer.model_version, answer.id) == (toy.name, "1", "seven")
    assert bool(answer.raw_output_contents) == (write is raw)
    said = await infer(caller.http, toy.name, [json_features(np.float32(rows))])
    found = outputs(answer)
    assert list(found) == list(said.outputs)
    for name, values in said.outputs.items():
        np.testing.assert_array_equal(np.ravel(found[name]), np.ravel(values), err_msg=name)


async def test_categories_are_texts(caller: Caller) -> None:
    rows = MIXED.rows(4)
    asked, contents = [], []
    for tensor in inputs(MIXED, rows):
        field = "bytes_contents" if tensor.datatype == "BYTES" else "fp32_contents"
        data = [value.encode() if isinstance(value, str) else value for value in tensor.data]
        asked.append(
            {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape, "contents": {field: data}}
        )
        contents.append(tensor)
    answer = await caller.ask("ModelInfer", model_name="mixed", inputs=asked)
    said = await infer(caller.http, "mixed", contents)
    np.testing.assert_array_equal(outputs(answer)["volatility"], said.outputs["volatility"])
    asked[0]["contents"] = {"bytes_contents": [b"\xff"] * 4}
    with refused("INVALID_ARGUMENT"):
        await caller.ask("ModelInfer", model_name="mixed", inputs=asked)


async def test_outputs_and_parameters_are_those_that_are_asked_for(caller: Caller) -> None:
    wanted = ["verdict", "scores", "jacobian", "covariance"]
    answer = await caller.ask("ModelInfer", **raw("toy", [[1, 2]], outputs=[{"name": name} for name in wanted]))
    assert [output.name for output in answer.outputs] == wanted
    scaled = {"noise_scale": {"double_param": 2.0}, "observe": {"bool_param": False}}
    twice = outputs(await caller.ask("ModelInfer", **raw("toy", [[1, 2]], parameters=scaled)))
    said = await infer(caller.http, "toy", [json_features([[1, 2]])], parameters={"noise_scale": 2.0})
    np.testing.assert_array_equal(twice["volatility"], said.outputs["volatility"])


async def test_classes_and_timeouts_are_asked_for_by_parameters(caller: Caller) -> None:
    classes = {"name": "probabilities", "parameters": {"classification": {"int64_param": 2}}}
    for write in (raw, typed):
        answer = await caller.ask("ModelInfer", **write("toy", [[1, 2]] * 3, outputs=[classes]))
        assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [3, 2])
        assert len(outputs(answer)["probabilities"]) == 6
    with refused("DEADLINE_EXCEEDED"):
        slow = raw("slow", [[2e6, 1.0]] * 8, parameters={"timeout": {"int64_param": 10}})
        await caller.ask("ModelInfer", **slow)
    shared = raw("toy", [[1, 2]])
    shared["inputs"][0]["parameters"] = {"shared_memory_region": {"string_param": "mine"}}
    with refused("INVALID_ARGUMENT", "shared memory"):
        await caller.ask("ModelInfer", **shared)


async def test_the_default_model_answers_where_none_is_named(caller: Caller) -> None:
    assert (await caller.ask("ModelInfer", **raw("", [[1, 2]]))).model_name == "toy"


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"model_name": "nobody"}, "NOT_FOUND", "no such model"),
        ({"model_version": "9"}, "NOT_FOUND", "no such version"),
        ({"inputs": []}, "INVALID_ARGUMENT", "raw_input_contents"),
        ({"inputs": [], "raw_input_contents": []}, "INVALID_ARGUMENT", "inputs"),
        ({"raw_input_contents": [b"1234567"]}, "INVALID_ARGUMENT", "bytes"),
        ({"raw_input_contents": [b"", b""]}, "INVALID_ARGUMENT", "as many as the inputs"),
        ({"raw_input_contents": [np.float32([np.nan, 1]).tobytes()]}, "INVALID_ARGUMENT", "finite"),
        ({"outputs": [{"name": "secret"}]}, "INVALID_ARGUMENT", "outputs"),
        ({"parameters": {"noise_scale": {"string_param": "2"}}}, "INVALID_ARGUMENT", "noise_scale"),
        ({"parameters": {"observe": {"int64_param": 1}}}, "INVALID_ARGUMENT", "observe"),
    ],
)
async def test_what_is_wrong_is_refused(caller: Caller, change: dict[str, Any], code: str, word: str) -> None:
    with refused(code, word) as caught:
        await caller.ask("ModelInfer", **{**raw("toy", [[1, 2]]), **change})
    assert "x-request-id" in dict(iter(caught.value.trailing_metadata()))


async def test_more_rows_than_the_limit_are_refused(caller: Caller) -> None:
    with refused("INVALID_ARGUMENT", "at most 64 rows"):
        await caller.ask("ModelInfer", **raw("toy", np.ones((65, 2))))
    jacobian = [{"name": "jacobian"}]
    with refused("INVALID_ARGUMENT", "at most 16 rows"):
        await caller.ask("ModelInfer", **raw("toy", np.ones((17, 2)), outputs=jacobian))


async def test_messages_larger_than_the_limit_are_refused(caller: Caller) -> None:
    with refused("RESOURCE_EXHAUSTED"):
        await caller.ask("ModelInfer", **raw("toy", np.ones((40_000, 2))))


async def test_compressed_messages_are_bounded_by_what_they_hold(caller: Caller) -> None:
    import grpc

    small = REQUEST(**raw("toy", [[1, 2]])).SerializeToString()
    packed = await caller.send(small, compression=grpc.Compression.Gzip)
    assert outputs(ANSWER.FromString(packed)).keys() >= {"verdict"}
    bomb = REQUEST(model_name="toy", raw_input_contents=[bytes(2**26)]).SerializeToString()
    with refused("RESOURCE_EXHAUSTED"):
        await caller.send(bomb, compression=grpc.Compression.Gzip)


async def test_a_stream_answers_in_order_and_goes_on_after_a_refusal(caller: Caller) -> None:
    stream = caller.channel.stream_stream(STREAM)(timeout=60)
    asked = [raw("toy", [[1, 2]], id="first"), raw("nobody", [[1, 2]]), raw("toy", [[3, 4]], id="third")]
    for content in asked:
        await stream.write(REQUEST(**content).SerializeToString())
    await stream.done_writing()
    answers = [STREAMED.FromString(text) async for text in stream]
    assert [answer.infer_response.id for answer in answers] == ["first", "", "third"]
    assert [bool(answer.error_message) for answer in answers] == [False, True, False]
    single = await caller.ask("ModelInfer", **raw("toy", [[3, 4]], id="third"))
    assert answers[2].infer_response == single


async def test_a_cancelled_call_leaves_nothing_behind(serving: Serving, tmp_path: Any) -> None:
    async with calling(tmp_path, CLASSIFIER, IMAGE) as caller:
        context = caller.app.context
        for _ in range(20):
            call = caller.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            pending = call(REQUEST(**raw("picture", IMAGE.rows(8))).SerializeToString(), timeout=60)
            await asyncio.sleep(0)
            pending.cancel()
        for _ in range(2000):
            if context.in_progress == 0 and context.reading.budget.held == 0:
                break
            await asyncio.sleep(0.01)
        assert (context.in_progress, context.reading.budget.held) == (0, 0)
        assert outputs(await caller.ask("ModelInfer", **raw("toy", [[1, 2]])))


async def test_a_deadline_ends_the_call(caller: Caller) -> None:
    slow = REQUEST(**raw("slow", [[2e6, 1.0]] * 8)).SerializeToString()
    with refused("DEADLINE_EXCEEDED"):
        await caller.send(slow, timeout=0.02)
