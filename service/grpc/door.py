"""Lets calls in and counts them: whom they come from, until when, and how many bytes they hold."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from chainzrule.service.api.access.access import Access, Scopes
from chainzrule.service.api.context import Context
from chainzrule.service.api.problems import slug_of
from chainzrule.service.errors import (
    DeadlineExceeded,
    MalformedRequest,
    NotReady,
    Overloaded,
    ServiceError,
    TooLarge,
)
from chainzrule.service.grpc.call import Call, Rpc
from chainzrule.service.grpc.messages import parsed
from chainzrule.service.grpc.statuses import CANCELLED, CODES, INTERNAL, status_of, text_of, trailers_of
from chainzrule.service.grpc.uploads import Uploads
from chainzrule.service.telemetry.logs import request_id

log = logging.getLogger("chainzrule.access")

Read = Callable[[], Awaitable[object]]
Method = Callable[[Call, bytes], Awaitable[Message]]

SMALL = 2**14  # bytes of a message that carries no tensors


class Unexpected(ServiceError):
    """Something failed that is no fault of the caller's."""


class Door:
    """Lets calls in, and turns errors into statuses.

    Attributes:
        closing: set once the server closes, so that streams end.
    """

    def __init__(self, context: Context, access: Access | None) -> None:
        self.closing = asyncio.Event()
        self._context = context
        self._access = access
        self._most = max(1, context.reading.budget.most // context.settings.max_body_bytes)
        self._uploads = Uploads(self._most, context.reading.deadlines)
        self._streams = 0

    def unary(self, route: str, scopes: Scopes, method: Method) -> grpc.RpcMethodHandler:
        """Returns the handler of a method that answers one message with one.

        It reads the message itself, so that nothing is received for a call that is refused.
        """

        async def handle(_: object, rpc: Rpc) -> bytes:
            call = self.call(rpc)
            try:
                answer: bytes = (await self.answer(route, call, scopes, rpc.read, method)).SerializeToString()
            except ServiceError as error:
                await abort(call, error)
                raise AssertionError("abort returned") from error
            rpc.set_trailing_metadata((("x-request-id", call.identity),))
            return answer

        return grpc.stream_unary_rpc_method_handler(handle)

    def stream(self, handle: Callable[[Rpc], Awaitable[None]]) -> grpc.RpcMethodHandler:
        """Returns the handler of a method that answers a stream of messages, only so many streams at a time."""

        async def guarded(_: object, rpc: Rpc) -> None:
            self._streams += 1
            try:
                if self._streams > self._most:
                    raise Overloaded(
                        f"at most {self._most} streams are open at a time; close one, or send single calls"
                    )
                await handle(rpc)
            except ServiceError as error:
                await abort(self.call(rpc), error)
            finally:
                self._streams -= 1

        return grpc.stream_stream_rpc_method_handler(guarded)

    def call(self, rpc: Rpc) -> Call:
        """Returns a call's view for the methods."""
        return Call(rpc, self._context.reading.budget)

    def admit(self, call: Call, scopes: Scopes) -> None:
        """Raises the error with which a call is refused."""
        error = None if self._access is None else self._access.refusal_for(call, scopes)
        if error is not None:
            raise error

    async def answer(self, route: str, call: Call, scopes: Scopes, read: Read, method: Method) -> Message:
        """Returns the answer to one message, which `read` receives, and counts it.

        Raises:
            ServiceError: the call is refused, the message is not answered, or something unexpected has failed.
        """
        begin, context, status = time.perf_counter(), self._context, CANCELLED
        token = request_id.set(call.identity)
        context.in_progress += 1
        try:
            self.admit(call, scopes)
            call.deadline = context.deadline(call.rpc.time_remaining())
            text = await self._uploads.receive(read, call.deadline)
            if not isinstance(text, bytes):
                raise MalformedRequest("the call has no message")
            call.holding.resize(len(text))
            answer = await method(call, text)
            status = 200
            return answer
        except ServiceError as error:
            status = status_of(error)
            context.metrics.rejected.labels(slug_of(error)).inc()
            if status == INTERNAL:
                log.exception("unexpected error")
            raise
        except Exception:
            if call.rpc.done():
                raise asyncio.CancelledError from None
            log.exception("unexpected error")
            status = INTERNAL
            raise Unexpected("the service failed to answer; the log has the cause under this request id") from None
        finally:
            call.holding.release()
            context.in_progress -= 1
            seconds = time.perf_counter() - begin
            context.metrics.request_seconds.labels(route, "GRPC", str(status)).observe(seconds)
            if context.settings.access_log:
                log.info(
                    "request", extra={"method": "GRPC", "route": route, "status": status, "seconds": round(seconds, 6)}
                )
            request_id.reset(token)

    async def next_message(self, rpc: Rpc) -> bytes | None:
        """Returns a stream's next message; None where it has ended.

        Raises:
            NotReady: the server closes.
            DeadlineExceeded: the stream was idle for as long as connections may be.
        """
        read, closing = asyncio.ensure_future(rpc.read()), asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait(
                (read, closing),
                timeout=self._context.settings.keep_alive_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if read.done():
                message = read.result()
                return message if isinstance(message, bytes) else None
            if self.closing.is_set():
                raise NotReady("the service is closing; call another, or this one later")
            raise DeadlineExceeded("the stream was idle for too long; open another")
        finally:
            closing.cancel()
            read.cancel()


def plain(kind: type[Message], answer: Callable[[Call, Any], Message | Awaitable[Message]]) -> Method:
    """Returns a method whose messages carry no tensors."""

    async def method(call: Call, text: bytes) -> Message:
        if len(text) > SMALL:
            raise TooLarge(f"must be at most {SMALL} bytes", "message")
        found = answer(call, parsed(kind, text))
        return found if isinstance(found, Message) else await found

    return method


async def abort(call: Call, error: ServiceError) -> None:
    """Ends a call with an error's status."""
    trailers = (*trailers_of(error), ("x-request-id", call.identity))
    await call.rpc.abort(CODES[status_of(error)], text_of(error), trailers)
