"""Says when what failed is tried again."""

from dataclasses import dataclass

FIRST = 1.0  # seconds
LONGEST = 30.0
COSTS = (
    10.0  # the least wait is so many times what the try took, so that a failure costs little, however often it is tried
)


@dataclass
class Backoff:
    """Holds when the next try is due: after a second, then after twice as long each time, up to half a minute.

    Attributes:
        failures: how many tries have failed since the last success or change.
        due: when the next try is due, by the clock of those who ask.
    """

    failures: int = 0
    due: float = 0.0

    def failed(self, now: float, took: float) -> None:
        """Records a try that failed at `now` after `took` seconds."""
        self.due = now + max(min(FIRST * 2.0 ** min(self.failures, 10), LONGEST), COSTS * took)
        self.failures += 1

    def reset(self) -> None:
        """Makes the next try due at once, and the wait after it as short as the first."""
        self.failures, self.due = 0, 0.0
