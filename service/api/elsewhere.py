"""Knows where to find here what other servers have at a path."""

import re
from collections.abc import Iterable

from chainzrule.service.naming import nearest

_PREDICT = 'rows are predicted by POST /predict, as {"instances": [...]}'
_NAMED = 'rows are predicted by POST /predict, as {"model": NAME, "instances": [...]}, or by POST /v2/models/NAME/infer'
_NAME = r"[^/:]+"

# The paths of TensorFlow Serving, KServe's first protocol, MLflow, SageMaker, TorchServe and BentoML, and usual probes.
_ELSEWHERE = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (rf"/v1/models/{_NAME}(/(versions|labels)/{_NAME})?:(predict|classify|regress)", _NAMED),
        (
            rf"/v1/models/{_NAME}:explain|/explain|/explanations?(/.*)?",
            "sensitivities are answered by POST /sensitivity",
        ),
        (rf"/v1/models/{_NAME}(/(versions|labels)/{_NAME})?(/metadata)?", "a model is described by GET /models/NAME"),
        (
            rf"/v2/models/{_NAME}(/versions/{_NAME})?/(predict|generate)",
            "a model answers by POST /v2/models/NAME/infer",
        ),
        (rf"/(models|predictions|model|predict)/{_NAME}(/(predict|infer|invoke|invocations))?", _NAMED),
        (r"/v1/models|/list|/models/list", "models are listed by GET /models"),
        (r"/(v\d+/|api/)*(invocations|predictions?|predict|infer|inference|score|classify|regress)", _PREDICT),
        (
            r"/(ping|health|healthcheck|health/live|live|livez|alive|status|_health)",
            "health is answered by GET /healthz",
        ),
        (r"/(ready|health/ready|readiness)", "readiness is answered by GET /readyz"),
        (r"/(openapi|swagger|redoc)(/.*)?", "GET /docs describes the routes"),
    )
)


def advice_for(path: str, known: Iterable[str]) -> str:
    """Returns what to ask in place of a path that does not exist; `known` are the paths that do."""
    for pattern, advice in _ELSEWHERE:
        if len(path) <= 256 and pattern.fullmatch(path):
            return advice
    meant = nearest(path, known)
    return "GET /docs lists the routes" if meant is None else f"did you mean {meant}? GET /docs lists the routes"
