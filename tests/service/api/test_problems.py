"""Every failure: its status, in the one shape, and never with what was sent."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from chainzrule.service import errors
from chainzrule.service.api.problems import PROBLEMS, problem_of
from chainzrule.service.errors import ServiceError
from tests.artifacts import CLASSIFIER
from tests.service.api import test_models, test_query, test_requests
from tests.service.api.bodies import test_body
from tests.service.api.refusals import MARK, Case, assert_problem, assert_refused, question
from tests.service.conftest import Serving

pytestmark = pytest.mark.anyio


CASES = [
    # 404.
    Case("unknown model", 404, "unknown-model", question(model=MARK), place="model"),
    Case("empty model", 404, "unknown-model", question(model=""), place="model"),
    Case("path as model", 404, "unknown-model", question(model="../toy"), place="model"),
    Case("unknown version", 404, "unknown-version", question(version="7"), place="version"),
    Case("version by other text", 404, "unknown-version", question(version="01"), place="version"),
    Case("unknown card", 404, "unknown-model", method="GET", path=f"/models/{MARK}", headers={}, place="model"),
    Case("unknown stability", 404, "unknown-model", method="GET", path=f"/models/{MARK}/stability", place="model"),
    Case(
        "unknown card version",
        404,
        "unknown-version",
        method="GET",
        path=f"/models/toy?version={MARK}",
        place="version",
    ),
    Case("unknown route", 404, "unknown-route", method="GET", path=f"/{MARK}"),
    Case("unknown route, posted", 404, "unknown-route", question(), path=f"/predict/{MARK}"),
    Case("two trailing slashes", 404, "unknown-route", question(), path="/predict//"),
    Case("dots", 404, "unknown-route", method="GET", path="/models/toy/%2e%2e/%2e%2e/etc"),
    # 405.
    Case("wrong method", 405, "method-not-allowed", method="GET", path=f"/predict?{MARK}=1"),
    Case("DELETE", 405, "method-not-allowed", method="DELETE", path="/models/toy"),
    Case("odd method", 405, "method-not-allowed", method="S3CRET", path="/predict"),
    Case("HEAD", 405, "method-not-allowed", method="OPTIONS", path="/models"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_failure_has_its_status_in_the_one_shape(client: httpx.AsyncClient, case: Case) -> None:
    await assert_refused(client, case)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/predict", "POST"),
        ("/predict/", "POST"),
        ("/sensitivity", "GET, HEAD, POST"),
        ("/models", "GET, HEAD"),
        ("/models/toy", "GET, HEAD"),
        ("/v2/models/toy/infer", "POST"),
        ("/docs", "GET, HEAD"),
    ],
)
async def test_a_405_names_all_methods_of_the_path(client: httpx.AsyncClient, path: str, allowed: str) -> None:
    response = await client.request("DELETE", path)
    assert response.status_code == 405
    assert response.headers.get_list("allow") == [allowed]


async def test_cases_cover_every_problem_that_a_request_alone_can_meet() -> None:
    cases = (*CASES, *test_body.CASES, *test_models.CASES, *test_query.CASES, *test_requests.CASES)
    # These need settings, load, no models or one without a bounds graph.
    elsewhere = {
        "unauthorized",
        "too-many-failures",
        "insufficient-scope",
        "forbidden",
        "misdirected",
        "client-limited",
    }
    elsewhere |= {"queue-full", "overloaded", "not-ready", "no-bounds", "rejected"}
    assert {slug for _, slug in PROBLEMS.values()} - {case.slug for case in cases} == elsewhere


async def test_where_no_model_is_the_default_one_must_be_named(serving: Serving) -> None:
    async with serving(CLASSIFIER, replace(CLASSIFIER, name="other")) as client:
        response = await client.post("/predict", json=question())
        assert_problem(response, 422, "invalid-input", "model")
        response = await client.get("/sensitivity?x=1,2")
        assert_problem(response, 422, "invalid-input", "model")


async def test_without_any_model_there_is_none_to_name(serving: Serving) -> None:
    async with serving() as client:
        assert_problem(await client.post("/predict", json=question()), 422, "invalid-input", "model")
        assert_problem(await client.post("/predict", json=question(model="toy")), 404, "unknown-model", "model")
        assert (await client.get("/models")).json() == {"models": []}


async def test_a_model_that_is_not_ready_answers_503(serving: Serving) -> None:
    async with serving(CLASSIFIER.with_graph("model", b"no graph")) as client:
        for response in (await client.post("/predict", json=question()), await client.get("/models/toy")):
            assert_problem(response, 503, "not-ready", "model")
            assert int(response.headers["retry-after"]) >= 1
        response = await client.post("/predict", json=question(version="1"))
        assert_problem(response, 503, "not-ready", "version")


async def test_what_should_not_happen_is_500_in_the_same_shape(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for routed in (False, True):
        async with serving(CLASSIFIER, routed=routed) as client:

            def fail(*arguments: object) -> None:
                raise RuntimeError("s3cret of the machine")

            monkeypatch.setattr(client.app.context.catalog, "resolve", fail)  # type: ignore[attr-defined]
            for response in (await client.post("/predict", json=question()), await client.get("/models/toy")):
                assert_problem(response, 500, "internal-error")
    assert "s3cret of the machine" in caplog.text  # the log has the cause


# The tree.


def leaves(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from leaves(child)


NEVER_MET_BY_A_REQUEST = {errors.ArtifactError, errors.DeviceError, errors.KeyFileError}


def test_every_error_a_request_can_meet_has_a_status() -> None:
    own = {kind for kind in leaves(ServiceError) if kind.__module__ == "chainzrule.service.errors"}
    assert set(PROBLEMS) == own - NEVER_MET_BY_A_REQUEST
    slugs = [slug for _, slug in PROBLEMS.values()]
    assert len(set(slugs)) == len(slugs)
    assert {status for status, _ in PROBLEMS.values()} <= {400, 401, 403, 404, 413, 415, 421, 422, 429, 503, 504}


def test_the_tree_is_drawn_in_the_docstring() -> None:
    drawn = str(errors.__doc__)
    for kind in leaves(ServiceError):
        if kind.__module__ == "chainzrule.service.errors":
            assert f"── {kind.__name__} " in drawn
            assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", sorted(NEVER_MET_BY_A_REQUEST, key=lambda kind: kind.__name__))
async def test_errors_without_a_status_are_500_and_tell_nothing(kind: type[ServiceError]) -> None:
    response = problem_of(kind("s3cret place on the disk"))
    assert response.status_code == 500
    assert b"s3cret" not in bytes(response.body)


@pytest.mark.parametrize("kind", list(PROBLEMS), ids=lambda kind: kind.__name__)
async def test_errors_become_problems(kind: type[ServiceError]) -> None:
    response = problem_of(kind("what to do", "here"))
    status, slug = PROBLEMS[kind]
    content = json.loads(bytes(response.body))
    assert response.status_code == content["status"] == status
    assert content["type"].endswith(slug)
    assert (content["detail"], content["place"]) == ("what to do", "here")
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert ("www-authenticate" in response.headers) == (slug in ("unauthorized", "insufficient-scope"))
