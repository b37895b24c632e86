"""Real rows sent to real servers at a bounded rate, while a test looks elsewhere."""

import contextlib
import gzip
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes

from tests.processes import ROOT

Rows = NDArray[np.float64]


def digits() -> Rows:
    """(10000, 784) MNIST's test digits, pixel by pixel; shuffled, because the second half of the file is easier."""
    packed = (ROOT / "tests" / "data" / "t10k-images-idx3-ubyte.gz").read_bytes()
    rows = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(-1, 784).astype(np.float64)
    return np.random.default_rng(0).permutation(rows)


def noisy(rows: Rows, sigma: float) -> Rows:
    """Digits from a camera with noise of `sigma` grey levels."""
    drawn = np.random.default_rng(0).normal(0.0, sigma, rows.shape)
    return np.clip(rows + drawn, 0.0, 255.0).round()


def tables() -> dict[str, list[list[Any]]]:
    """The rows of the shipped table models, as /predict takes them; one tumour lies out of range."""
    patients: list[list[Any]] = load_diabetes(scaled=False).data.tolist()
    for row in patients:
        row[1] = str(int(row[1]))  # sex is a category
    tumours: list[list[Any]] = load_breast_cancer().data.tolist()
    return {"breast-cancer": [*tumours, [40.0, *tumours[0][1:]]], "diabetes": patients}


class Traffic:
    """Requests that go on until the end, each to the next address; the rows can be exchanged under way.

    Attributes:
        addresses: where to, in turn.
        rows: by model, what is sent; batches of `batch` rows in turn.
        codes: answers by status; 0 is a request that got none.
        refused: the first texts of answers that are no 200, which say who refused and why.
    """

    def __init__(self, addresses: list[str], rows: dict[str, list[list[Any]]], batch: int, pause: float) -> None:
        self.addresses = addresses
        self.rows = rows
        self.codes: Counter[int] = Counter()
        self.refused: list[str] = []
        self._batch = batch
        self._pause = pause
        self._stop = threading.Event()

    def send(self) -> None:
        """Until stopped; one connection an address, as a client with a pool has."""
        with httpx.Client(timeout=30) as client:
            for turn in itertools.count():
                addresses = self.addresses
                for model, rows in list(self.rows.items()):
                    if self._stop.is_set():
                        return
                    begin = turn * self._batch % len(rows)
                    question = {"model": model, "instances": rows[begin : begin + self._batch]}
                    self._ask(client, addresses[turn % len(addresses)], question)
                time.sleep(self._pause)

    def _ask(self, client: httpx.Client, address: str, question: dict[str, Any]) -> None:
        try:
            answer = client.post(f"{address}/predict", json=question)
            self.codes[answer.status_code] += 1
            if answer.status_code != 200 and len(self.refused) < 5:
                self.refused.append(f"{time.strftime('%X')} {answer.text}")
        except httpx.TransportError:
            self.codes[0] += 1

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()


@contextlib.contextmanager
def traffic(
    addresses: list[str], rows: dict[str, list[list[Any]]], batch: int = 20, pause: float = 0.1, senders: int = 1
) -> Iterator[Traffic]:
    """Traffic while the block runs."""
    sent = Traffic(addresses, rows, batch, pause)
    threads = [threading.Thread(target=sent.send, daemon=True) for _ in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        sent.stop()
        for thread in threads:
            thread.join(timeout=60)
