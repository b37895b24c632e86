"""Answers `GET /sensitivity` and `POST /sensitivity`, which say on which inputs each prediction depends."""

import asyncio

from starlette.responses import Response

from chainzrule.service.api.bodies.body import read_rows
from chainzrule.service.api.bodies.matrix import MatrixParser
from chainzrule.service.api.bodies.steps import run_steps
from chainzrule.service.api.context import Context
from chainzrule.service.api.explanations import explanation_body
from chainzrule.service.api.incoming import Answer, Incoming
from chainzrule.service.api.query import read_query, read_row
from chainzrule.service.api.requests import SENSITIVITY_MEMBERS, read_request, read_timeout
from chainzrule.service.api.route import Endpoint
from chainzrule.service.errors import DeadlineExceeded, ServiceError
from chainzrule.service.policy.desk import decide
from chainzrule.service.policy.policy import Decision
from chainzrule.service.serving.explain import Explanation, explain
from chainzrule.service.serving.question import Question
from chainzrule.service.serving.version import ServedModel

INLINE_ENTRIES = 2**10  # larger answers are written off the event loop


def get_sensitivity_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `GET /sensitivity`."""

    async def get_sensitivity(request: Incoming) -> Response:
        """Sensitivities of one row, given in the query."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        question, text = read_query(request.scope["query_string"])
        request.charge_rows(1)
        served = context.catalog.resolve(question.model, question.version)
        question = question._replace(instances=[read_row(text, served.card)])
        try:
            return await _answer(request, context, served, question, deadline)
        except ServiceError as error:
            if error.place is not None:  # callers of this route know the row as `x`
                error.place = error.place.replace("instances[0]", "x").replace("instances", "x")
            raise

    return get_sensitivity


def post_sensitivity_endpoint(context: Context) -> Endpoint:
    """Returns the endpoint of `POST /sensitivity`."""
    parser, settings = MatrixParser(), context.settings

    async def post_sensitivity(request: Incoming) -> Response:
        """Sensitivities of rows that are long, or that must not appear in a URL."""
        deadline = context.deadline(read_timeout(request.header(b"x-request-timeout")))
        document = await read_rows(request, settings.max_body_bytes, settings.max_sensitivity_rows, deadline, parser)
        named = request.scope.get("path_params")
        question = read_request(document, SENSITIVITY_MEMBERS, settings.max_sensitivity_rows, named)
        request.charge_rows(len(question.instances))
        served = context.catalog.resolve(question.model, question.version)
        return await _answer(request, context, served, question, deadline)

    return post_sensitivity


async def _answer(
    request: Incoming, context: Context, served: ServedModel, question: Question, deadline: float
) -> Response:
    entries = len(question.instances) * len(served.model.rows.names)
    if entries <= INLINE_ENTRIES and not question.include:
        explanation = await explain(served, question, context.settings.allowance, deadline)
        decisions = _decisions(context, served, question, explanation)
        return Answer(run_steps(explanation_body(served, question, explanation, decisions)))
    try:
        async with asyncio.timeout_at(deadline), context.large_answers:
            explanation = await explain(served, question, context.settings.allowance, deadline)
            decisions = _decisions(context, served, question, explanation)
            body = explanation_body(served, question, explanation, decisions)
            return Answer(await request.reading.thread.run(body))
    except TimeoutError:
        raise DeadlineExceeded("the request's time ran out before its answer was written") from None


def _decisions(
    context: Context, served: ServedModel, question: Question, explanation: Explanation
) -> list[Decision] | None:
    """Returns what a policy decides about the rows; explanations are no traffic, so none is counted or reviewed."""
    if context.desk is None or (policy := context.desk.policy(served)) is None:
        return None
    return decide(policy, explanation.share, "instances")
