"""Answers `POST /predict` with predictions, each with its stability."""

from collections.abc import Sequence

from starlette.responses import Response

from chainzrule.service.api.answers import large_predictions_body, predictions_body
from chainzrule.service.api.bodies.body import read_rows
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.api.context import Context
from chainzrule.service.api.decisions import decided_body
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.requests import PREDICT_MEMBERS, read_request, read_timeout
from chainzrule.service.api.route import Endpoint
from chainzrule.service.api.writing import write
from chainzrule.service.policy.substitutes import Answered
from chainzrule.service.serving.predict import predict as predict_rows
from chainzrule.service.serving.version import ServedModel

LARGE_ANSWER = 512  # writing the answers to this many rows takes milliseconds


def predict_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `/predict`."""
    parser, settings, allowance = MatrixParser(), context.settings, context.settings.allowance

    async def predict(request: Incoming) -> Response:
        """Predict rows; every prediction carries how stable it is under the declared input noise."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        document = await read_rows(request, settings.max_body_bytes, settings.max_rows, deadline, parser)
        question = read_request(document, PREDICT_MEMBERS, settings.max_rows, request.scope.get("path_params"))
        request.charge_rows(len(question.instances))
        served = context.catalog.resolve(question.model, question.version)
        share = await predict_rows(served, question, allowance, deadline)
        if context.desk is not None and (policy := context.desk.policy(served)) is not None:

            async def answering(other: ServedModel, rows: Sequence[int]) -> Answered:
                return await predict_rows(other, question.part(rows), allowance, deadline)

            sent = question.instances.__getitem__
            observed = question.observe and question.noise is None
            decided = await context.desk.decided(served, policy, share, sent, observed, answering)
            steps = decided_body(served, question, share, decided)
            return Answer(await write(request, steps, deadline) if len(share) > LARGE_ANSWER else run_steps(steps))
        if len(share) > LARGE_ANSWER:
            return Answer(await write(request, large_predictions_body(served, question, share), deadline))
        return Answer(predictions_body(served, question, share))

    return predict
