"""Answers KServe's first protocol: the questions of `/predict` and `/sensitivity`, with the model in the path.

Their answers have the member `predictions` already, and say more beside it.
"""

import orjson
from starlette.responses import Response

from chainzrule.service.api.access.scopes import ANY, OBSERVE, PREDICT
from chainzrule.service.api.context import Context
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.oip.metadata import model_ready_endpoint
from chainzrule.service.api.oip.schemas import ModelReadiness
from chainzrule.service.api.predict import predict_endpoint
from chainzrule.service.api.route import Endpoint, Route, in_path
from chainzrule.service.api.schemas.models import ModelNames
from chainzrule.service.api.schemas.predictions import PredictionAnswer
from chainzrule.service.api.schemas.questions import Prediction, SensitivityQuestion
from chainzrule.service.api.schemas.sensitivities import SensitivityAnswer
from chainzrule.service.api.sensitivity import post_sensitivity_endpoint

MODEL = in_path("model", "the model's name")


def kserve_routes(context: Context) -> list[Route]:
    """Returns the protocol's routes, in the order in which they are documented."""
    path = "/v1/models/{model}"
    problems = (400, 404, 413, 415, 422, 429, 503, 504)
    return [
        Route("GET", "/v1/models", names_endpoint(context), scopes=OBSERVE, answer=ModelNames),
        Route(
            "GET",
            path,
            model_ready_endpoint(context),
            scopes=ANY,
            answer=ModelReadiness,
            unready=True,
            parameters=(MODEL,),
            problems=(404,),
        ),
        Route(
            "POST",
            f"{path}:predict",
            predict_endpoint(context),
            scopes=PREDICT,
            hot=True,
            answer=PredictionAnswer,
            body=Prediction,
            parameters=(MODEL,),
            problems=problems,
        ),
        Route(
            "POST",
            f"{path}:explain",
            post_sensitivity_endpoint(context),
            scopes=PREDICT,
            hot=True,
            answer=SensitivityAnswer,
            body=SensitivityQuestion,
            parameters=(MODEL,),
            problems=problems,
        ),
    ]


def names_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/v1/models`."""

    async def names(request: Incoming) -> Response:
        """The names of the models."""
        return Answer(orjson.dumps({"models": [name for name, _ in context.catalog.models()]}))

    return names
