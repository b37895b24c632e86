"""Lists the service's routes: a new one needs its endpoint, and an entry here or in `oip/routes.py`."""

from chainzrule.service.api.context import Context
from chainzrule.service.api.health import healthz_endpoint, metrics_endpoint, readyz_endpoint
from chainzrule.service.api.models import get_model_endpoint, get_stability_endpoint, list_models_endpoint
from chainzrule.service.api.oip.routes import oip_routes
from chainzrule.service.api.page import page_endpoints
from chainzrule.service.api.predict import predict_endpoint
from chainzrule.service.api.route import Route, in_path, in_query
from chainzrule.service.api.schemas.health import Readiness
from chainzrule.service.api.schemas.models import ModelList, StabilityAnswer
from chainzrule.service.api.schemas.predictions import PredictionAnswer
from chainzrule.service.api.schemas.questions import Prediction, SensitivityQuestion
from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.api.sensitivity import get_sensitivity_endpoint, post_sensitivity_endpoint
from chainzrule.service.serving.question import INCLUDES, MAX_NOISE_SCALE

NAME = in_path("name", "the model's name")
VERSION = in_query("version", {"type": "string"}, "the newest that is ready, unless given")
ROW = (
    in_query("x", {"type": "string"}, "the row: values separated by commas, or a JSON list or object", required=True),
    in_query("model", {"type": "string"}, "may be left out where one model is the default"),
    VERSION,
    in_query(
        "noise_scale",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_NOISE_SCALE, "default": 1},
        "multiple of the card's noise",
    ),
    in_query("top", {"type": "integer", "minimum": 1}, "list only the strongest features"),
    in_query("include", {"type": "string"}, f"also answer, separated by commas: {', '.join(INCLUDES)}"),
)


def routes(context: Context) -> list[Route]:
    """Returns all routes, in the order in which they are documented."""
    return [
        *_question_routes(context),
        *_model_routes(context),
        *oip_routes(context),
        *_operation_routes(context),
        *_page_routes(context),
    ]


def _question_routes(context: Context) -> list[Route]:
    return [
        Route(
            "POST",
            "/predict",
            predict_endpoint(context),
            hot=True,
            answer=PredictionAnswer,
            body=Prediction,
            problems=(400, 404, 413, 415, 422, 429, 503, 504),
        ),
        Route(
            "GET",
            "/sensitivity",
            get_sensitivity_endpoint(context),
            hot=True,
            answer=SensitivityAnswer,
            parameters=ROW,
            problems=(400, 404, 413, 422, 429, 503, 504),
        ),
        Route(
            "POST",
            "/sensitivity",
            post_sensitivity_endpoint(context),
            hot=True,
            answer=SensitivityAnswer,
            body=SensitivityQuestion,
            problems=(400, 404, 413, 415, 422, 429, 503, 504),
        ),
    ]


def _model_routes(context: Context) -> list[Route]:
    return [
        Route("GET", "/models", list_models_endpoint(context), answer=ModelList),
        Route(
            "GET", "/models/{name}", get_model_endpoint(context), parameters=(NAME, VERSION), problems=(404, 422, 503)
        ),
        Route(
            "GET",
            "/models/{name}/stability",
            get_stability_endpoint(context),
            answer=StabilityAnswer,
            parameters=(NAME, VERSION),
            problems=(404, 422, 503),
        ),
    ]


def _operation_routes(context: Context) -> list[Route]:
    """Returns the routes of probes and scrapers, which are open, because these have no token."""
    return [
        Route("GET", "/healthz", healthz_endpoint(context), open=True),
        Route("GET", "/readyz", readyz_endpoint(context), open=True, answer=Readiness, unready=True),
        Route(
            "GET",
            "/metrics",
            metrics_endpoint(context),
            open=True,
            media=("text/plain", "application/openmetrics-text"),
        ),
    ]


def _page_routes(context: Context) -> list[Route]:
    """Returns the routes of the playground, if it is on; they are open, as the page asks people for the token."""
    if not context.settings.playground:
        return []
    page, part = page_endpoints(context.settings.root_path, context.settings.thresholds)
    return [
        Route("GET", "/", page, open=True, documented=False),
        Route("GET", "/ui/{file:path}", part, open=True, documented=False),
    ]
