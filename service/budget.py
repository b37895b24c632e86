"""Bounds the bytes that are held for all requests together.

It knows nothing of HTTP, and it is used on the event loop alone.
"""

from collections.abc import Callable

from chainzrule.service.errors import Overloaded

SMALL = 2**16  # bytes; requests up to this size may also use the reserve
RESERVE = 8  # the part of the limit, one in so many, that large requests leave to small ones
WORTH = 2**12  # bytes; ending an upload that holds less would free nothing to speak of


class Budget:
    """Counts the bytes that are held for all requests.

    Where room is short, the oldest unfinished uploads are ended. So clients that send slowly or have stopped sending
    hold nothing against a client that sends its body at once.

    Attributes:
        limit: the most bytes that may be held.
        most: the most bytes that may be held for one request, or for all that are not small.
        held: the bytes that are held now.
        peak: the most bytes that were held since somebody set it back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.most = limit - limit // RESERVE
        self.held = 0
        self.peak = 0
        self._uploads: dict[Holding, Callable[[], None]] = {}  # the oldest first

    def make_room(self, count: int, size: int, keep: "Holding") -> None:
        """Makes room for `count` more bytes of a request that then holds `size`; ends other uploads where it must.

        Raises:
            Overloaded: there is no room, and would be none if all uploads were ended.
        """
        limit = self.limit if size <= SMALL else self.most
        missing = self.held + count - limit
        if missing <= 0:
            return
        chosen: list[Holding] = []
        for upload in self._uploads:
            if upload is not keep and upload.count >= WORTH:
                chosen.append(upload)
                missing -= upload.count
                if missing <= 0:
                    for ended in chosen:
                        self.end(ended)
                    return
        raise Overloaded("the service holds as many bytes of requests as it may; try again")

    def end(self, upload: "Holding") -> None:
        """Ends an unfinished upload, whose bytes are free from now on."""
        tell = self._uploads.pop(upload)
        upload.release()
        tell()

    def begin(self, upload: "Holding", tell: Callable[[], None]) -> None:
        """Makes a holding that of an unfinished upload, which may be ended; `tell` then tells who reads it."""
        self._uploads[upload] = tell

    def finish(self, upload: "Holding") -> None:
        """Makes a holding that of a body which has arrived whole, or will not arrive any more."""
        self._uploads.pop(upload, None)


class Holding:
    """Counts the bytes that are held for one request.

    Attributes:
        count: the bytes.
    """

    __slots__ = ("_budget", "count")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.count = 0

    def resize(self, count: int) -> None:
        """Holds `count` bytes from now on.

        Raises:
            Overloaded: the budget has no room for them.
        """
        budget, more = self._budget, count - self.count
        held = budget.held + more
        if more > 0:
            if held > budget.most:
                budget.make_room(more, count, self)
                held = budget.held + more
            if held > budget.peak:
                budget.peak = held
        self.count = count
        budget.held = held

    def release(self) -> None:
        """Holds nothing any more."""
        self._budget.held -= self.count
        self.count = 0

    def begin(self, tell: Callable[[], None]) -> None:
        """Says that the bytes are those of an upload that is not finished; `tell` is called where it is ended."""
        self._budget.begin(self, tell)

    def finish(self) -> None:
        """Says that the upload is over."""
        self._budget.finish(self)
