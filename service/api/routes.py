"""Lists the service's routes: a new one needs its endpoint, and an entry here or in `oip/routes.py`."""

from chainzrule.service.api.access.scopes import OBSERVE, OPEN, PREDICT
from chainzrule.service.api.context import Context
from chainzrule.service.api.health import healthz_endpoint, metrics_endpoint, readyz_endpoint
from chainzrule.service.api.kserve import kserve_routes
from chainzrule.service.api.models import get_model_endpoint, get_stability_endpoint, list_models_endpoint
from chainzrule.service.api.oip.routes import oip_routes
from chainzrule.service.api.page import docs_endpoints, page_endpoints
from chainzrule.service.api.predict import predict_endpoint
from chainzrule.service.api.route import Route, in_path, in_query
from chainzrule.service.api.schemas.health import Readiness
from chainzrule.service.api.schemas.models import ModelList, StabilityAnswer
from chainzrule.service.api.schemas.predictions import PredictionAnswer
from chainzrule.service.api.schemas.questions import Prediction, SensitivityQuestion
from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.api.sensitivity import get_sensitivity_endpoint, post_sensitivity_endpoint
from chainzrule.service.serving.question import INCLUDES, MAX_NOISE_SCALE
from chainzrule.service.stability.conformal import DEFAULT_CONFIDENCE

NAME = in_path("name", "the model's name")
VERSION = in_query("version", {"type": "string"}, "the newest that is ready, unless given")
SOME_OF_INCLUDES = f"^(({'|'.join(sorted(INCLUDES))})(,|$))*$"
ROW = (
    in_query(
        "x",
        {"type": "string", "minLength": 1},
        "the row: values separated by commas, or a JSON list or object",
        required=True,
    ),
    in_query("model", {"type": "string"}, "may be left out where one model is the default"),
    VERSION,
    in_query(
        "noise_scale",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_NOISE_SCALE, "default": 1},
        "multiple of the card's noise",
    ),
    in_query(
        "confidence",
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": DEFAULT_CONFIDENCE},
        "with which the set or interval is to hold the truth",
    ),
    in_query("top", {"type": "integer", "minimum": 1, "maximum": 99_999_999}, "list only the strongest features"),
    in_query(
        "include",
        {"type": "string", "pattern": SOME_OF_INCLUDES},
        f"also answer, separated by commas: {', '.join(INCLUDES)}",
    ),
)


def routes(context: Context) -> list[Route]:
    """Returns all routes, in the order in which they are documented."""
    return [
        *_question_routes(context),
        *_model_routes(context),
        *kserve_routes(context),
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
            scopes=PREDICT,
            hot=True,
            answer=PredictionAnswer,
            body=Prediction,
            problems=(400, 404, 413, 415, 422, 429, 503, 504),
        ),
        Route(
            "GET",
            "/sensitivity",
            get_sensitivity_endpoint(context),
            scopes=PREDICT,
            hot=True,
            answer=SensitivityAnswer,
            parameters=ROW,
            problems=(400, 404, 413, 422, 429, 503, 504),
        ),
        Route(
            "POST",
            "/sensitivity",
            post_sensitivity_endpoint(context),
            scopes=PREDICT,
            hot=True,
            answer=SensitivityAnswer,
            body=SensitivityQuestion,
            problems=(400, 404, 413, 415, 422, 429, 503, 504),
        ),
    ]


def _model_routes(context: Context) -> list[Route]:
    return [
        Route("GET", "/models", list_models_endpoint(context), scopes=OBSERVE, answer=ModelList),
        Route(
            "GET",
            "/models/{name}",
            get_model_endpoint(context),
            scopes=OBSERVE,
            parameters=(NAME, VERSION),
            problems=(404, 422, 503),
        ),
        Route(
            "GET",
            "/models/{name}/stability",
            get_stability_endpoint(context),
            scopes=OBSERVE,
            answer=StabilityAnswer,
            parameters=(NAME, VERSION),
            problems=(404, 422, 503),
        ),
    ]


def _operation_routes(context: Context) -> list[Route]:
    """Returns the routes of probes and scrapers, which are open, as these often have no token."""
    scraped = OBSERVE if context.settings.guard_metrics else OPEN
    return [
        Route("GET", "/healthz", healthz_endpoint(context), scopes=OPEN),
        Route("GET", "/readyz", readyz_endpoint(context), scopes=OPEN, answer=Readiness, unready=True),
        Route(
            "GET",
            "/metrics",
            metrics_endpoint(context),
            scopes=scraped,
            media=("text/plain", "application/openmetrics-text"),
        ),
    ]


def _page_routes(context: Context) -> list[Route]:
    """Returns the routes of the pages, which are open, because they ask people for the token."""
    settings = context.settings
    docs, docs_part = docs_endpoints(settings.root_path)
    listed = [("/docs", docs), ("/docs/{file:path}", docs_part)]
    if settings.playground:
        page, part = page_endpoints(settings.root_path, settings.thresholds)
        listed += [("/", page), ("/ui/{file:path}", part)]
    return [Route("GET", path, endpoint, scopes=OPEN, documented=False) for path, endpoint in listed]
