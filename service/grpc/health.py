"""Answers gRPC's health protocol, which orchestrators and proxies ask."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from chainzrule.service.api.context import Context
from chainzrule.service.errors import UnknownModel
from chainzrule.service.grpc.call import Call, Rpc
from chainzrule.service.grpc.door import SMALL, Door
from chainzrule.service.grpc.messages import SERVICES, message, parsed

REQUEST = message("grpc.health.v1.HealthCheckRequest")
RESPONSE = message("grpc.health.v1.HealthCheckResponse")
LIVENESS = "liveness"  # the name under which the process itself is asked for, whatever its models do
LOOK_SECONDS = 0.5  # between two looks of a watch

SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3


def status_of(context: Context, service: str) -> int:
    """Returns the status of a service; the empty name stands for the whole server."""
    if service == LIVENESS:
        return SERVING
    if service and service not in SERVICES:
        return UNKNOWN
    return SERVING if context.ready else NOT_SERVING


def check(context: Context) -> Callable[[Call, Any], Message]:
    """Returns what answers `Check`."""

    def answer(call: Call, asked: Any) -> Message:
        status = status_of(context, asked.service)
        if status == UNKNOWN:
            raise UnknownModel(f"there is no such service; ask for {LIVENESS}, or for none", "service")
        found: Message = RESPONSE(status=status)
        return found

    return answer


def watch_handler(context: Context, door: Door) -> Callable[[Rpc], Awaitable[None]]:
    """Returns what answers `Watch`: the status now, and again whenever it changes."""

    async def watch(rpc: Rpc) -> None:
        text = await door.next_message(rpc)
        service = parsed(REQUEST, (text or b"")[:SMALL]).service
        said = None
        while not door.closing.is_set():
            status = status_of(context, service)
            if status != said:
                await rpc.write(RESPONSE(status=status).SerializeToString())
                said = status
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(door.closing.wait(), LOOK_SECONDS)
        if said != NOT_SERVING:
            await rpc.write(RESPONSE(status=NOT_SERVING).SerializeToString())

    return watch
