"""What converters do not know of the libraries: bridged while a model is converted, and as before afterwards."""

import contextlib

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression

from chainzrule.training.adopt.convert.habits import as_skl2onnx_knows, zeros_as_gaps
from tests.training.adopt.graphs import model

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = X[:, 0] > 0


def test_estimators_are_changed_only_meanwhile() -> None:
    boosted = HistGradientBoostingClassifier(max_iter=3).fit(X, Y)
    voting = VotingClassifier([("a", LogisticRegression())], voting="soft").fit(X, Y)
    texts = SimpleImputer(strategy="most_frequent").fit(pd.DataFrame({"a": ["x", "x", None]}, dtype=object))
    numbers = SimpleImputer().fit(X)
    before = boosted._baseline_prediction
    with contextlib.suppress(ZeroDivisionError), as_skl2onnx_knows([boosted, voting, texts, numbers]):
        assert np.ndim(boosted._baseline_prediction) == 1
        assert voting.flatten_transform is False
        assert texts.missing_values == ""
        assert np.isnan(numbers.missing_values)
        raise ZeroDivisionError
    assert boosted._baseline_prediction is before
    assert voting.flatten_transform is True
    assert not isinstance(texts.missing_values, str)


def test_trees_see_gaps_in_place_of_zeros() -> None:
    tree = (
        "scores = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], "
        'nodes_featureids = [1, 0, 0], nodes_modes = ["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values = [0.5, 0.0, 0.0], '
        "nodes_missing_value_tracks_true = [0, 0, 0], nodes_truenodeids = [1, 0, 0], nodes_falsenodeids = [2, 0, 0], "
        "target_treeids = [0, 0], target_nodeids = [1, 2], target_ids = [0, 0], target_weights = [-1.0, 1.0], "
        "n_targets = 1> (features)"
    )
    plain = model(tree, outputs="float[batch,1] scores")
    rows = np.array([[0, 0.25, 0], [0, 0, 0], [0, 0.75, 0]], np.float32)
    found = []
    for one in (plain, zeros_as_gaps(plain)):
        session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"features": rows})[0][:, 0].tolist())
    assert found == [[-1, -1, 1], [-1, 1, 1]]
