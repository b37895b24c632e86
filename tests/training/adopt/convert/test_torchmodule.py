"""A torch module, exported beside its own answers."""

import numpy as np
import onnxruntime
import pandas as pd
import torch

from chainzrule.training.adopt.convert.torchmodule import from_torch

X = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 3)), columns=["a", "b", "c"])


def test_a_module_is_exported_in_evaluation_mode_for_any_number_of_rows() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)
    )
    found = from_torch(module, X)
    assert found.raw
    assert module.training  # as before
    session = onnxruntime.InferenceSession(found.model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for rows in (1, 12):
        answer = session.run(None, {name: X.to_numpy(np.float32)[:rows]})[0]
        np.testing.assert_allclose(answer, found.answers[:rows], atol=1e-5)
