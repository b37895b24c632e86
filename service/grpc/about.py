"""Answers what the protocol asks about the server, its models and its repository."""

from typing import Any

from google.protobuf.message import Message

from chainzrule.service.api.access.access import Scopes
from chainzrule.service.api.access.scopes import ADMIN, ANY, OBSERVE, OPEN
from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.configuration import model_configuration
from chainzrule.service.api.oip.metadata import model_metadata, server_metadata
from chainzrule.service.api.oip.repository import index_of, load_model, require_admin
from chainzrule.service.api.oip.statistics import statistics_of
from chainzrule.service.errors import NotReady, UnknownModel, UnknownVersion
from chainzrule.service.grpc.call import Call
from chainzrule.service.grpc.door import Method, plain
from chainzrule.service.grpc.messages import message

Methods = dict[str, tuple[Scopes, Method]]


def about_methods(context: Context) -> Methods:
    """Returns the methods by their names, each with the scopes that it takes."""
    return _server_methods(context) | _model_methods(context) | _repository_methods(context)


def _server_methods(context: Context) -> Methods:
    def live(call: Call, asked: Any) -> Message:
        return _answer("ServerLive", live=True)

    def ready(call: Call, asked: Any) -> Message:
        return _answer("ServerReady", ready=context.ready)

    def server(call: Call, asked: Any) -> Message:
        return _answer("ServerMetadata", **server_metadata())

    return {
        "ServerLive": (OPEN, plain(_request("ServerLive"), live)),
        "ServerReady": (OPEN, plain(_request("ServerReady"), ready)),
        "ServerMetadata": (ANY, plain(_request("ServerMetadata"), server)),
    }


def _model_methods(context: Context) -> Methods:
    def ready(call: Call, asked: Any) -> Message:
        try:
            context.catalog.resolve(asked.name or None, asked.version or None)
        except (NotReady, UnknownModel, UnknownVersion):
            return _answer("ModelReady", ready=False)
        return _answer("ModelReady", ready=True)

    def model(call: Call, asked: Any) -> Message:
        return _answer("ModelMetadata", **model_metadata(context, asked.name, asked.version or None))

    def configuration(call: Call, asked: Any) -> Message:
        return _answer("ModelConfig", config=model_configuration(context, asked.name, asked.version or None))

    def statistics(call: Call, asked: Any) -> Message:
        named = statistics_of(context, asked.name or None, asked.version or None)
        return _answer("ModelStatistics", model_stats=named)

    return {
        "ModelReady": (ANY, plain(_request("ModelReady"), ready)),
        "ModelMetadata": (ANY, plain(_request("ModelMetadata"), model)),
        "ModelConfig": (ANY, plain(_request("ModelConfig"), configuration)),
        "ModelStatistics": (OBSERVE, plain(_request("ModelStatistics"), statistics)),
    }


def _repository_methods(context: Context) -> Methods:
    def index(call: Call, asked: Any) -> Message:
        return _answer("RepositoryIndex", models=index_of(context, asked.ready))

    async def load(call: Call, asked: Any) -> Message:
        require_admin(context)
        await load_model(context, asked.model_name, asked.parameters)
        return _answer("RepositoryModelLoad")

    def unload(call: Call, asked: Any) -> Message:
        require_admin(context)
        context.repository.unload(asked.model_name)
        return _answer("RepositoryModelUnload")

    return {
        "RepositoryIndex": (OBSERVE, plain(_request("RepositoryIndex"), index)),
        "RepositoryModelLoad": (ADMIN, plain(_request("RepositoryModelLoad"), load)),
        "RepositoryModelUnload": (ADMIN, plain(_request("RepositoryModelUnload"), unload)),
    }


def _request(name: str) -> Any:
    return message(f"inference.{name}Request")


def _answer(name: str, /, **content: Any) -> Message:
    answer: Message = message(f"inference.{name}Response")(**content)
    return answer
