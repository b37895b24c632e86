"""Whether there is a terminal, asked in a process that has one and in one that has none."""

import subprocess
import sys

from tests.processes import ROOT

WITHOUT = "from chainzrule.service.terminal import has_terminal; print(has_terminal())"
WITH = """
import fcntl, os, signal, termios
from chainzrule.service.terminal import has_terminal

signal.signal(signal.SIGHUP, signal.SIG_IGN)
terminal, other = os.openpty()
fcntl.ioctl(other, termios.TIOCSCTTY, 0)
os.close(other)
print(has_terminal())
os.close(terminal)
print(has_terminal())
"""


def said(program: str) -> list[bytes]:
    command = [sys.executable, "-c", program]
    found = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
        timeout=60,
    )
    return found.stdout.split()


def test_a_process_without_one() -> None:
    assert said(WITHOUT) == [b"False"]


def test_a_process_with_one_and_after_it_was_closed() -> None:
    assert said(WITH) == [b"True", b"False"]
