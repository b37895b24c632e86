"""Makes DiCE's counterfactuals of a task. It runs in DiCE's own environment: `python dice.py TASK.json ANSWER.json`.

The task holds a model graph, the table that it was trained on, the rows, and what their answers are to become.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import dice_ml
import numpy as np
import onnxruntime
import pandas as pd

OUTCOME = "outcome"


class Served:
    """Answers as the model graph does, with the methods that DiCE calls."""

    def __init__(self, task: dict[str, Any]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(task["graph"], options)
        self._levels: dict[int, list[str]] = {int(at): levels for at, levels in task["levels"].items()}
        self._classifies: bool = task["classifies"]

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        """Returns the (rows, K) probabilities."""
        return self._session.run(["probabilities"], {"features": self._encode(rows)})[0]

    def predict(self, rows: pd.DataFrame) -> Any:
        """Returns the labels, or the predicted numbers."""
        if self._classifies:
            return self.predict_proba(rows).argmax(axis=1)
        return self._session.run(["scores"], {"features": self._encode(rows)})[0][:, 0].astype(float)

    def _encode(self, rows: pd.DataFrame) -> Any:
        columns: list[Any] = []
        for at, name in enumerate(rows.columns):
            values = rows[name].to_numpy()
            if at in self._levels:
                columns += [(values.astype(str) == level).astype(np.float32) for level in self._levels[at]]
            else:
                columns.append(values.astype(np.float32))
        return np.stack(columns, axis=1)


def main() -> int:
    warnings.simplefilter("ignore")
    task = json.loads(Path(sys.argv[1]).read_text())
    names: list[str] = task["names"]
    table = pd.DataFrame(task["table"], columns=names)
    for at in task["levels"]:
        table[names[int(at)]] = table[names[int(at)]].astype(str)
    model = Served(task)
    table[OUTCOME] = model.predict(table[names])
    numbers = [name for at, name in enumerate(names) if str(at) not in task["levels"]]
    data = dice_ml.Data(dataframe=table, continuous_features=numbers, outcome_name=OUTCOME)
    kind = "classifier" if task["classifies"] else "regressor"
    explainer = dice_ml.Dice(
        data, dice_ml.Model(model=model, backend="sklearn", model_type=kind), method=task["method"]
    )
    wanted: dict[str, Any] = {"desired_class": "opposite"}
    if not task["classifies"]:
        wanted = {"desired_range": task["range"]}
    answers = []
    for row in task["rows"]:
        asked = pd.DataFrame([row], columns=names)
        begin = time.process_time()
        try:
            found = (
                explainer.generate_counterfactuals(
                    asked, total_CFs=task["count"], features_to_vary=numbers, verbose=False, **wanted
                )
                .cf_examples_list[0]
                .final_cfs_df
            )
        except Exception as error:  # its own way to say that it has found none
            print(type(error).__name__, file=sys.stderr)
            found = None
        seconds = time.process_time() - begin
        rows = [] if found is None else found[names].astype(object).to_numpy().tolist()
        answers.append({"seconds": seconds, "rows": rows})
    Path(sys.argv[2]).write_text(json.dumps(answers, default=float))
    return 0


if __name__ == "__main__":
    sys.exit(main())
