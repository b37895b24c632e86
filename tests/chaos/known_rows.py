"""What the OpenAPI document cannot say, for Schemathesis: which rows and tensors a model takes.

Schemathesis loads this as its hooks. Questions that it means to be right get real rows of a real model, so that all
their other members are put to the test; those that it means to be wrong are sent as they are.
"""

import json
import struct
from typing import Any

import schemathesis

from tests.chaos.honest import ROW

MODEL = "breast-cancer"
BOX = {"mean radius": 0.2, "mean texture": [10.0, 10.9]}
OUTPUTS = ("label", "probabilities", "volatility", "verdict", "jacobian")
MOST_DRAWS = 2000
LENGTH = "Inference-Header-Content-Length"


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case, __: dict[str, Any]) -> None:
    """Put in the rows, and leave the other models alone, whatever is unloaded."""
    if case.path.endswith("/unload"):
        case.path_parameters["model"] = "absent"
    if _means_to_be_wrong(case):
        return
    case.freeze_metadata()  # a question stays right, although what is put in differs in type from what was drawn
    if case.path.endswith("/infer"):
        _put_tensors(case)
    elif case.path in ("/predict", "/sensitivity") and isinstance(case.body, dict):
        _put_rows(case.body)
    elif case.path == "/sensitivity" and case.query:
        case.query.update(x=",".join(map(str, ROW)), model=MODEL)
        case.query.pop("version", None)


def _means_to_be_wrong(case: schemathesis.Case) -> bool:
    meta = case.meta
    if meta is None or meta.generation.mode.is_negative:
        return True
    return any(part.mode.is_negative for part in meta.components.values())


def _put_rows(body: dict[str, Any]) -> None:
    body["instances"] = [ROW] * min(len(body["instances"]), 4)
    body["model"] = MODEL
    body.pop("version", None)
    if body.get("box") is not None:
        body["box"] = BOX
    if "draws" in body:
        body["draws"] = min(body["draws"], MOST_DRAWS)


def _put_tensors(case: schemathesis.Case) -> None:
    case.path_parameters["model"] = MODEL
    if "version" in case.path_parameters:
        case.path_parameters["version"] = "1"
    length = 0
    if case.media_type == "application/json":
        case.body["inputs"] = [{"name": "features", "datatype": "FP32", "shape": [1, len(ROW)], "data": ROW}]
        if case.body.get("outputs"):
            pairs = zip(case.body["outputs"], OUTPUTS, strict=False)
            case.body["outputs"] = [{**wanted, "name": name} for wanted, name in pairs]
        length = len(json.dumps(case.body).encode())
    else:
        case.body = struct.pack(f"<{len(ROW)}f", *ROW)  # a length of 0 means that all of it is one row
    if LENGTH in case.headers:
        case.headers[LENGTH] = str(length)
