"""The client that must not notice abuse: small predictions at a steady pace, and an orchestrator's health checks."""

import contextlib
import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

JSON = {"Content-Type": "application/json"}
ROW = [
    17.99,
    10.38,
    122.8,
    1001,
    0.1184,
    0.2776,
    0.3001,
    0.1471,
    0.2419,
    0.07871,
    1.095,
    0.9053,
    8.589,
    153.4,
    0.006399,
]
ROW += [0.04904, 0.05373, 0.01587, 0.03003, 0.006193, 25.38, 17.33, 184.6, 2019, 0.1622, 0.6656, 0.7119, 0.2654, 0.4601]
ROW += [0.1189]
QUESTION = json.dumps({"model": "breast-cancer", "instances": [ROW]}).encode()

CONNECTIONS = 4
REQUESTS_A_SECOND = 100.0
PROBES_A_SECOND = 25.0
PATIENCE = 20.0  # seconds; a longer silence counts as a lost answer
# How much longer the honest client may wait than elsewhere at the same time, and what nobody notices anyway: more,
# where this machine has more to do than it has cores.
SLOWDOWN, UNNOTICED = 3.0, 0.1  # times, seconds


@dataclass
class Seen:
    """What a client saw: the seconds of each answer, from when it was due to be asked for, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def p99(self) -> float:
        """The time within which 99 of a hundred answers came."""
        return self.quantile(0.99)

    def quantile(self, share: float) -> float:
        """The time within which this share of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Steady:
    """Asks at a steady pace whatever the answers take, so that a stall shows in every request that it delays."""

    def __init__(self, port: int, ask: Callable[[http.client.HTTPConnection], int], pace: float, keep: bool) -> None:
        self.seen = Seen()
        self._port = port
        self._ask = ask
        self._pause = 1.0 / pace
        self._keep = keep

    def run(self, over: threading.Event) -> None:
        """Until told to stop."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        due = time.perf_counter()
        while not over.wait(max(0.0, due - time.perf_counter())):
            try:
                status = self._ask(connection)
                if status == 200:
                    self.seen.seconds.append(time.perf_counter() - due)
                else:
                    self.seen.lost[str(status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.seen.lost[type(error).__name__] += 1
                connection.close()
            if not self._keep:
                connection.close()
            due += self._pause
        connection.close()


def predict(connection: http.client.HTTPConnection) -> int:
    """Ask for one prediction; returns the status, or 0 where the answer is none."""
    connection.request("POST", "/predict", QUESTION, JSON)
    response = connection.getresponse()
    content = response.read()
    whole = response.status != 200 or (b'"verdict"' in content and content.endswith(b"}"))
    return response.status if whole else 0


def probe(connection: http.client.HTTPConnection) -> int:
    """Ask whether it lives."""
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    response.read()
    return response.status


@contextlib.contextmanager
def honest_client(port: int) -> Iterator[tuple[Seen, Seen]]:
    """Predictions over kept connections, and health checks over new ones, while the block runs."""
    over = threading.Event()
    pace = REQUESTS_A_SECOND / CONNECTIONS
    predicting = [Steady(port, predict, pace, keep=True) for _ in range(CONNECTIONS)]
    probing = Steady(port, probe, PROBES_A_SECOND, keep=False)
    threads = [threading.Thread(target=one.run, args=(over,), daemon=True) for one in (*predicting, probing)]
    for thread in threads:
        thread.start()
    predicted, probed = Seen(), Seen()
    try:
        yield predicted, probed
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE + 5)
        for one in predicting:
            predicted.seconds += one.seen.seconds
            predicted.lost += one.seen.lost
        probed.seconds += probing.seen.seconds
        probed.lost += probing.seen.lost


def ask_alone(port: int, seconds: float) -> tuple[Seen, Seen]:
    """What the client sees while nobody else asks."""
    with honest_client(port) as seen:
        time.sleep(seconds)
    return seen


def patience(elsewhere: Seen, alone: Seen) -> float:
    """How long 99 of a hundred answers may take where nobody is to notice anything.

    Args:
        elsewhere: what is seen at the same time of a server that has no trouble.
        alone: what was seen on a quiet machine.
    """
    return max(UNNOTICED * crowding(), SLOWDOWN * max(elsewhere.p99, alone.p99))


def crowding() -> float:
    """How many times as much this machine has to do as it has cores."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def in_ms(seen: Seen) -> str:
    """The times, for a report."""
    return f"{1000 * seen.p99:.1f} ms (median {1000 * seen.quantile(0.5):.1f}, most {1000 * seen.quantile(1.0):.1f})"
