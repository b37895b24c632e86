"""From the matrix that the service encodes to a model's own inputs."""

import numpy as np
import onnxruntime
from onnx import TensorProto

from chainzrule.service.artifact.features import CategoricalFeature, Feature
from chainzrule.training.adopt.front import front_graph, write_front
from chainzrule.training.adopt.given import Input
from chainzrule.training.adopt.placement import Placement
from tests.training.adopt.graphs import described, model

ANY = model("y = Neg (x)", "float[batch,1] x", "float[batch,1] y")


def run(
    inputs: list[Input], places: dict[str, tuple[int, ...]], features: tuple[Feature, ...], x: np.ndarray
) -> list[np.ndarray]:
    placement = Placement(tuple(feature.name for feature in features), places)
    front = front_graph(write_front(inputs, placement, features), inputs, x.shape[1], ANY)
    session = onnxruntime.InferenceSession(front.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"features": x.astype(np.float32)}))


def test_inputs_get_their_columns_in_their_shape_and_type() -> None:
    x = np.arange(8).reshape(2, 4)
    inputs = [
        Input("image", TensorProto.FLOAT, None, (1, 2)),
        Input("code", TensorProto.INT64, None, ()),
        Input("exact", TensorProto.DOUBLE, None, (None,)),
        Input("series", TensorProto.FLOAT, None, (None, 2)),
    ]
    image, code, exact, series = run(
        inputs, {"image": (3, 0), "code": (2,), "exact": (1,), "series": (0, 1, 2, 3)}, described(4), x
    )
    np.testing.assert_array_equal(image, [[[3, 0]], [[7, 4]]])
    np.testing.assert_array_equal(code, [2, 6])
    np.testing.assert_array_equal(exact, [[1], [5]])
    np.testing.assert_array_equal(series, x.reshape(2, 2, 2))
    assert (code.dtype, exact.dtype) == (np.int64, np.float64)


def test_levels_become_text_again() -> None:
    job = CategoricalFeature(name="job", levels=("cook", "driver", "(missing)"), fill="(missing)")
    (age,) = described(1)
    features = (job, age, CategoricalFeature(name="owns", levels=("no", "yes")))
    x = np.array([[0, 1, 0, 30, 1, 0], [0, 0, 1, 40, 0, 1]])
    inputs = [Input("owns", TensorProto.STRING, None, (1,)), Input("age", 1, None, (1,)),
              Input("job", TensorProto.STRING, None, ())]  # fmt: skip
    owns, ages, jobs = run(inputs, {"owns": (2,), "age": (1,), "job": (0,)}, features, x)
    assert owns.tolist() == [["no"], ["yes"]]
    assert ages.tolist() == [[30], [40]]
    assert jobs.tolist() == ["driver", ""]  # a gap is empty text


def test_one_input_may_take_several_texts() -> None:
    features = (
        CategoricalFeature(name="job", levels=("cook", "driver")), CategoricalFeature(name="owns", levels=("no", "yes"))
    )  # fmt: skip
    (both,) = run([Input("x", TensorProto.STRING, None, (2,))], {"x": (0, 1)}, features, np.array([[1, 0, 0, 1]]))
    assert both.tolist() == [["cook", "yes"]]
