"""Answers `ModelInfer` and `ModelStreamInfer`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from google.protobuf.message import Message

from chainzrule.service.api.access.scopes import PREDICT
from chainzrule.service.api.bodies.body import INLINE
from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.datatypes import DATATYPES
from chainzrule.service.api.oip.inference import Inferences, Output
from chainzrule.service.api.oip.request import read_document
from chainzrule.service.errors import DeadlineExceeded, ServiceError, TooLarge
from chainzrule.service.grpc.call import Call, Rpc
from chainzrule.service.grpc.door import Door, Method
from chainzrule.service.grpc.messages import message, parsed
from chainzrule.service.grpc.question import document_of, parsed_bytes
from chainzrule.service.grpc.statuses import text_of
from chainzrule.service.serving.version import ServedModel

LARGE_ANSWER = 2**13  # values; writing more as messages takes milliseconds

REQUEST = message("inference.ModelInferRequest")
RESPONSE = message("inference.ModelInferResponse")
STREAMED = message("inference.ModelStreamInferResponse")


def infer_method(context: Context) -> Method:
    """Returns the method that answers one request for an inference."""
    settings, inferences = context.settings, Inferences(context)

    async def infer(call: Call, text: bytes) -> Message:
        held = parsed_bytes(text)
        if held > context.reading.budget.most:
            raise TooLarge("holds more than the service has room for; send raw_input_contents", "message")
        call.holding.resize(len(text) + held)
        asked = parsed(REQUEST, text)
        served = context.catalog.resolve(asked.model_name or None, asked.model_version or None)
        document, raw, is_raw = document_of(asked)
        inputs = inferences.tensors(served).inputs
        numbers = is_raw and all(DATATYPES[spec.datatype].holds == "numbers" for spec in inputs)
        if numbers or len(text) <= INLINE:  # raw numbers are used as they are
            wanted = read_document(document, raw, inputs, settings.max_rows)
        else:
            wanted = await asyncio.to_thread(read_document, document, raw, inputs, settings.max_rows)
        outputs = await inferences.outputs(served, wanted, call.charge_rows, call.deadline)
        if is_raw or sum(output.size for output in outputs) <= LARGE_ANSWER:
            return response(served, asked.id, outputs, is_raw)
        try:
            async with asyncio.timeout_at(call.deadline), context.large_answers:
                return await asyncio.to_thread(response, served, asked.id, outputs, is_raw)
        except TimeoutError:
            raise DeadlineExceeded("the request's time ran out before its answer was written") from None

    return infer


def stream_handler(door: Door, route: str, infer: Method) -> Callable[[Rpc], Awaitable[None]]:
    """Returns what answers a stream of requests, one after the other; a refused one does not end the stream."""

    async def stream(rpc: Rpc) -> None:
        door.admit(door.call(rpc), PREDICT)
        while (text := await door.next_message(rpc)) is not None:

            async def read(text: bytes = text) -> bytes:
                return text

            try:
                answer = STREAMED(infer_response=await door.answer(route, door.call(rpc), PREDICT, read, infer))
            except ServiceError as error:
                answer = STREAMED(error_message=text_of(error))
            await rpc.write(answer.SerializeToString())

    return stream


def response(served: ServedModel, identity: str, outputs: Sequence[Output], is_raw: bool) -> Message:
    """Returns the message of an answer: its outputs raw where the inputs were, else typed."""
    answer: Message = RESPONSE(model_name=served.card.name, model_version=served.card.version, id=identity)
    for output in outputs:
        spec, values = output.spec, output.values
        tensor = answer.outputs.add(name=spec.name, datatype=spec.datatype, shape=output.shape)
        if is_raw:
            answer.raw_output_contents.append(DATATYPES[spec.datatype].to_bytes(values))
        elif isinstance(values, list):
            tensor.contents.bytes_contents.extend(text.encode() for text in values)
        else:
            tensor.contents.fp32_contents.extend(values.ravel().tolist())
    return answer
