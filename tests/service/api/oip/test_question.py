"""A request holds what a caller may leave out."""

from chainzrule.service.api.oip.question import InferRequest


def test_what_is_left_out_is_usual() -> None:
    request = InferRequest({"features": ["a"]})
    assert (request.outputs, request.id, request.binary) == (None, None, False)
    assert (request.noise_scale, request.confidence, request.observe) == (1.0, 0.9, True)
