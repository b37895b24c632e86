"""Lists the open inference protocol's routes."""

from chainzrule.service.api.access.scopes import ADMIN, ANY, OBSERVE, OPEN, PREDICT
from chainzrule.service.api.context import Context
from chainzrule.service.api.oip.configuration import configuration_endpoint
from chainzrule.service.api.oip.infer import infer_endpoint
from chainzrule.service.api.oip.metadata import (
    live_endpoint,
    model_endpoint,
    model_ready_endpoint,
    ready_endpoint,
    server_endpoint,
)
from chainzrule.service.api.oip.repository import index_endpoint, load_endpoint, unload_endpoint
from chainzrule.service.api.oip.schemas import (
    IndexQuestion,
    InferenceAnswer,
    InferenceQuestion,
    Liveness,
    ModelConfiguration,
    ModelMetadata,
    ModelReadiness,
    RepositoryIndex,
    ServerMetadata,
    ServerReadiness,
    Statistics,
)
from chainzrule.service.api.oip.statistics import statistics_endpoint
from chainzrule.service.api.route import Parameter, Route, in_header, in_path

MODEL = in_path("model", "the model's name")
VERSION = in_path("version", "its version")
JSON_BYTES = in_header(
    "Inference-Header-Content-Length", {"type": "integer", "minimum": 0}, "bytes of JSON in the body"
)


def oip_routes(context: Context) -> list[Route]:
    """Returns the protocol's routes, in the order in which they are documented."""
    return [
        *_server_routes(context),
        *_repository_routes(context),
        *_model_routes("/v2/models/{model}", (MODEL,), context),
        *_model_routes("/v2/models/{model}/versions/{version}", (MODEL, VERSION), context),
    ]


def _server_routes(context: Context) -> list[Route]:
    return [
        Route("GET", "/v2", server_endpoint(context), scopes=ANY, answer=ServerMetadata),
        Route("GET", "/v2/health/live", live_endpoint(context), scopes=OPEN, answer=Liveness),
        Route("GET", "/v2/health/ready", ready_endpoint(context), scopes=OPEN, answer=ServerReadiness, unready=True),
        Route("GET", "/v2/models/stats", statistics_endpoint(context), scopes=OBSERVE, answer=Statistics),
    ]


def _repository_routes(context: Context) -> list[Route]:
    path = "/v2/repository/models/{model}"
    return [
        Route(
            "POST",
            "/v2/repository/index",
            index_endpoint(context),
            scopes=OBSERVE,
            answer=RepositoryIndex,
            body=IndexQuestion,
            body_required=False,
            problems=(400, 413, 415),
        ),
        Route(
            "POST",
            f"{path}/load",
            load_endpoint(context),
            scopes=ADMIN,
            media=(),
            parameters=(MODEL,),
            problems=(400, 403, 404, 415, 503),
        ),
        Route(
            "POST",
            f"{path}/unload",
            unload_endpoint(context),
            scopes=ADMIN,
            media=(),
            parameters=(MODEL,),
            problems=(400, 403, 404, 415, 503),
        ),
    ]


def _model_routes(path: str, parameters: tuple[Parameter, ...], context: Context) -> list[Route]:
    """Returns the routes of a model below `path`, which names it with or without its version."""
    return [
        Route(
            "GET",
            path,
            model_endpoint(context),
            scopes=ANY,
            answer=ModelMetadata,
            parameters=parameters,
            problems=(404, 503),
        ),
        Route(
            "GET",
            f"{path}/ready",
            model_ready_endpoint(context),
            scopes=ANY,
            answer=ModelReadiness,
            unready=True,
            parameters=parameters,
            problems=(404,),
        ),
        Route(
            "GET",
            f"{path}/stats",
            statistics_endpoint(context),
            scopes=OBSERVE,
            answer=Statistics,
            parameters=parameters,
            problems=(404, 503),
        ),
        Route(
            "GET",
            f"{path}/config",
            configuration_endpoint(context),
            scopes=ANY,
            answer=ModelConfiguration,
            parameters=parameters,
            problems=(404, 503),
        ),
        Route(
            "POST",
            f"{path}/infer",
            infer_endpoint(context),
            scopes=PREDICT,
            hot=True,
            binary=True,
            answer=InferenceAnswer,
            body=InferenceQuestion,
            parameters=(*parameters, JSON_BYTES),
            problems=(400, 404, 413, 415, 429, 503, 504),
        ),
    ]
