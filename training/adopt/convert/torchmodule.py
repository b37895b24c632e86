"""Converts a torch module by exporting it for rows of the sample."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd

from chainzrule.training.adopt.convert.converted import Converted


def from_torch(module: Any, frame: pd.DataFrame) -> Converted:
    """Exports a module that takes a float32 matrix of the sample's columns, in evaluation mode."""
    import torch

    rows = torch.from_numpy(np.array(frame, np.float32))
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            answers = module(rows).double().reshape(len(rows), -1).numpy()
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.onnx"
            shapes = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                module, (rows[:3],), str(path), dynamic_shapes=shapes, dynamo=True, external_data=False, verbose=False
            )
            found = onnx.load(str(path))
    finally:
        module.train(was_training)
    return Converted(found, answers, raw=True)
