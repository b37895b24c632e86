"""Defines the five workloads that servers are asked, on real rows."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
SMALL = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Workload:
    """Describes one kind of load.

    Attributes:
        name: W1 to W5.
        model: the model it asks.
        rows: rows a request.
        connections: concurrent connections.
        binary: raw float32 instead of JSON.
    """

    name: str
    model: str
    rows: int
    connections: int
    binary: bool = False
    repository: Path = ROOT / "models"

    @property
    def folder(self) -> Path:
        """Returns the folder of the model's newest version."""
        versions = [path for path in (self.repository / self.model).iterdir() if path.name.isdecimal()]
        return max(versions, key=lambda path: int(path.name))

    @property
    def title(self) -> str:
        """Returns the workload in words."""
        kind = "binary" if self.binary else "JSON"
        return f"{self.name}: {self.rows} x {self.matrix().shape[1]}, {kind}, {self.connections} conn."

    def matrix(self) -> NDArray[np.float32]:
        """Returns the request's rows: real digits, or real aspirates."""
        return (aspirates if self.model == "breast-cancer" else digits)()[: self.rows]

    def instances(self) -> str:
        """Returns the rows as JSON, written as clients write them."""
        rows = self.matrix().astype(float).round(6).tolist()
        return json.dumps([[int(v) if v.is_integer() else v for v in row] for row in rows])


WORKLOADS = (
    Workload("W1", "breast-cancer", 1, 32),
    Workload("W2", "digits", 1, 32),
    Workload("W3", "digits", 64, 8),
    Workload("W4", "breast-cancer", 1, 1),
    Workload("W5", "digits", 64, 8, binary=True),
    # The same with a network of 784-16-16-10, where HTTP and bookkeeping weigh more than the run.
    Workload("W3-small", "small-digits", 64, 8, repository=SMALL),
    Workload("W5-small", "small-digits", 64, 8, binary=True, repository=SMALL),
)


def digits() -> NDArray[np.float32]:
    """Returns the (10000, 784) held-out digits."""
    with gzip.open(ROOT / "tests/data/t10k-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


def aspirates() -> NDArray[np.float32]:
    """Returns scikit-learn's (569, 30) breast cancer rows."""
    from sklearn.datasets import load_breast_cancer

    return np.asarray(load_breast_cancer().data, dtype=np.float32)
