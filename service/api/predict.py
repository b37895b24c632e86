"""`POST /predict`: predictions, each with its stability."""

import asyncio

import orjson
from starlette.responses import Response

from chainzrule.service.api.body import read_rows
from chainzrule.service.api.context import Context
from chainzrule.service.api.exchange import Endpoint
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.matrix import MatrixParser
from chainzrule.service.api.requests import PREDICT_MEMBERS, read_request, read_timeout
from chainzrule.service.errors import NonFiniteOutput
from chainzrule.service.runtime.model import Predictions
from chainzrule.service.serving.engine import Share
from chainzrule.service.serving.measuring import is_measured, seconds_until
from chainzrule.service.serving.version import ServedModel, inputs_of

LARGE_REQUEST = 2**14  # values that take milliseconds to read one by one
LARGE_ANSWER = 512  # rows whose answers take milliseconds to write


def predict_endpoint(context: Context) -> Endpoint:
    """The route's endpoint."""
    parser, settings = MatrixParser(), context.settings

    async def predict(request: Incoming) -> Response:
        """Predict rows; every prediction carries how stable it is under the declared input noise."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        document = await read_rows(request, context.settings.max_body_bytes, deadline, parser)
        wanted = read_request(document, PREDICT_MEMBERS, context.settings.max_rows)
        served = context.catalog.resolve(wanted.model, wanted.version)
        rows = len(wanted.instances)
        seconds = seconds_until(deadline)
        measured = is_measured(served, rows, wanted.measure, settings.measured_share, settings.max_draws, seconds)
        served.require_room(rows, measured)
        # Rows as objects or with categories are read one value at a time; large answers too are made off the loop.
        large = rows * len(served.model.rows.names) > LARGE_REQUEST
        general = large and isinstance(wanted.instances, list)
        encode = served.model.rows.encode
        features = await asyncio.to_thread(encode, wanted.instances) if general else encode(wanted.instances)
        inputs = inputs_of(features, wanted.noise_scale, wanted.observe)
        share = await served.predict(inputs, deadline, measured)
        require_finite(share)
        if share.stop - share.start > LARGE_ANSWER:
            return Answer(await asyncio.to_thread(_content, served, share))
        return Answer(_content(served, share))

    return predict


def _content(served: ServedModel, share: Share[Predictions]) -> bytes:
    content = {
        "model": served.card.name,
        "version": served.card.version,
        "method": served.card.method,
        "predictions": share.result.answers[share.start : share.stop],
    }
    return orjson.dumps(content)


def require_finite(share: Share[Predictions], place: str = "instances") -> None:
    """Refuse a request for which the model's answer is not finite; other requests of its batch stand.

    `place` is what the request calls its rows.
    """
    if share.result.all_finite:
        return
    finite = share.result.finite[share.start : share.stop]
    if not finite.all():
        row = int(finite.argmin())
        raise NonFiniteOutput(
            "the model's answer is not finite; the row may lie far outside the training range", f"{place}[{row}]"
        )
