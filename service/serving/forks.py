"""Forks a process for every examination that is asked for, and ends the ones that take too long.

It is a process of its own, which has imported everything, has one thread and has never opened a model: so a fork of it
is sound and takes milliseconds, where a new interpreter takes most of a second. It ends when those who ask are gone.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass

from chainzrule.service.serving.examination import Order, undergo

_MESSAGE = 2**16  # bytes; an order is a few hundred


@dataclass
class _Child:
    """Holds a process that examines a version, for whom, and until when."""

    pid: int
    answer: socket.socket
    deadline: float
    late: bool = False


class Forks:
    """Forks examinations as long as anybody asks for them."""

    def __init__(self, control: socket.socket) -> None:
        """Makes a loop that takes orders from `control`, each with two descriptors: where to answer, and to print."""
        self._control = control
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Takes orders until the other end of the control socket is closed; then all examinations end with it."""
        # A terminal or a supervisor sends these to the whole group; this process ends when nobody asks any more.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        wakes, waker = os.pipe()
        for descriptor in (wakes, waker):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        gc.freeze()  # so that no collection in a child touches, and so copies, what all of them share
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(wakes, selectors.EVENT_READ)
        asked = True
        while asked:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._control:
                    asked = self._take_order()
                elif key.fileobj == wakes:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wakes, _MESSAGE)
                else:  # nobody waits for this one any more
                    self._selector.unregister(key.fileobj)
                    os.kill(key.data.pid, signal.SIGKILL)
            self._end_late()
            self._reap()
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            child.answer.close()

    def _patience(self) -> float | None:
        """Returns the seconds until the next deadline."""
        waiting = [child.deadline for child in self._children.values() if not child.late]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _take_order(self) -> bool:
        """Forks for the next order; returns whether there was one."""
        message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 2)
        if not message:
            return False
        order, (answering, output) = Order.decode(message), descriptors
        answer = socket.socket(fileno=answering)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self._control.close()
                for child in self._children.values():
                    child.answer.close()
                undergo(order, answer, output, parent)
                status = 0
            finally:
                os._exit(status)
        os.close(output)
        child = self._children[pid] = _Child(pid, answer, time.monotonic() + order.seconds)
        self._selector.register(answer, selectors.EVENT_READ, child)
        return True

    def _end_late(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if not child.late and child.deadline <= now:
                child.late = True
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Tells how each process that has ended came to its end."""
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            child = self._children.pop(pid)
            end = {"ended": os.waitstatus_to_exitcode(status), "late": child.late}
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.answer)
            with contextlib.suppress(OSError):
                child.answer.sendall(json.dumps(end).encode() + b"\n")
            child.answer.close()


def main(descriptor: int) -> None:
    """Takes orders from a socket that this process was started with."""
    Forks(socket.socket(fileno=descriptor)).run()
