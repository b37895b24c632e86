"""Says once, and not at every look, what cannot be looked at in the repository and what is passed over."""

import logging
import time

log = logging.getLogger(__name__)

REPEATED_SECONDS = 600.0  # after which it is said again that something cannot be looked at


class Notices:
    """Remembers what has been said of a repository.

    Attributes:
        unreadable: what could not be looked at last, by place, with the reason; the place of the repository is `.`.
    """

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self._passed_over: dict[str, str] = {}
        self._said_at = 0.0

    def cannot_look(self, unreadable: dict[str, str]) -> None:
        """Notes everything that cannot be looked at now, and logs it when it is news or has not been said for long."""
        now = time.monotonic()
        if unreadable and (unreadable != self.unreadable or now >= self._said_at + REPEATED_SECONDS):
            self._said_at = now
            for place, reason in unreadable.items():
                about = {"place": place, "reason": reason}
                log.error("the model repository cannot be read; serving what is loaded", extra=about)
        if self.unreadable and not unreadable:
            log.info("the model repository can be read again")
        self.unreadable = unreadable

    def passed_over(self, found: dict[str, str]) -> None:
        """Notes the folders that are no model or no version, and logs each once."""
        for place, reason in found.items():
            if self._passed_over.get(place) != reason:
                log.warning("passed over in the model repository", extra={"place": place, "reason": reason})
        self._passed_over = found
