"""Questions are what the routes take."""

import json

import pytest

from chainzrule.client import questions
from chainzrule.client.questions import Reply


def test_what_is_left_out_is_left_to_the_service() -> None:
    asked = questions.predictions([[1, 2]], model="toy", version=None, observe=False)
    assert (asked.method, asked.path) == ("POST", "/predict")
    assert json.loads(asked.body or b"") == {"instances": [[1, 2]], "model": "toy", "observe": False}
    assert questions.explanations([{"a": 1}]).path == "/sensitivity"


def test_names_are_quoted() -> None:
    assert questions.about("a/b ?", "/stability", "1&2").path == "/models/a%2Fb%20%3F/stability?version=1%262"
    assert questions.about("toy").path == "/models/toy"


def test_answers_are_read() -> None:
    assert questions.models().read(Reply(b'{"models": [{"name": "toy"}]}')) == [{"name": "toy"}]
    assert questions.ready().read(Reply(b'{"ready": false}')) is False


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        questions.predictions([[1]], noise_scale=float("inf"))


def test_numpys_numbers_and_covariances_are_sent_as_json_has_them() -> None:
    numpy = pytest.importorskip("numpy")
    noise = {"features": ["a", "b"], "covariance": numpy.eye(2)}
    asked = json.loads(questions.predictions([[1, 2]], noise=noise, noise_scale=numpy.float32(0.5)).body or b"")
    assert asked["noise"] == {"features": ["a", "b"], "covariance": [[1.0, 0.0], [0.0, 1.0]]}
    assert asked["noise_scale"] == 0.5
    with pytest.raises(TypeError, match="a set cannot be sent"):
        questions.predictions([[1, 2]], noise={1})
