"""A process of its own for a command that calls LFs, so that its exit code can be trusted.

An LF that ends the process, by ``os._exit(0)`` or a crash, would let the command end without a
word and perhaps with exit code 0, which a CI job takes for success. So the command runs in a fork,
made before anything heavy is imported, and the parent knows whether it has come to its end: Python
calls what ``atexit`` knows only then.
"""

from __future__ import annotations

import atexit
import mmap
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from tidegauge_probes.labeling.current_call import CURRENT_CALL, SIZE, last_call

_ENDED: Final = SIZE
"""The byte, behind the name of what runs, that says that the command came to its end."""

_FORWARDED: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_FROM_OUTSIDE: Final = frozenset({signal.SIGINT, signal.SIGTERM, 1, 9})  # 1: SIGHUP, 9: SIGKILL

_WRONG_LF: Final = 2
_UNEXPECTED: Final = 1

_PR_SET_PDEATHSIG: Final = 1


@dataclass
class OwnProcess:
    """Forks once; ``allowed`` only by ``main``, since a caller in Python owns its process."""

    allowed: bool = False

    def enter(self) -> None:
        """Return in a new process; the present one waits, then exits as that did."""
        if not self.allowed or not hasattr(os, "fork") or threading.active_count() > 1:
            return  # a fork has only the thread that made it
        self.allowed = False
        memory = mmap.mmap(-1, SIZE + 1)
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        parent = os.getpid()
        child = os.fork()
        if child:
            _wait(child, memory)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        _end_with(parent)
        CURRENT_CALL.memory = memory
        atexit.register(_note_end, memory, os.getpid())


OWN_PROCESS: Final = OwnProcess()


def _note_end(memory: mmap.mmap, process: int) -> None:
    if os.getpid() == process:  # an LF may fork, too
        memory[_ENDED] = 1


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; Linux only."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  (only where a command runs)

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_UNEXPECTED)  # it died before


def _wait(child: int, memory: mmap.mmap) -> NoReturn:
    """Wait for *child* and exit as it did, or as one that has failed if it was ended."""

    def forward(number: int, _frame: Any) -> None:
        if number != signal.SIGINT or not _typed():
            os.kill(child, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if memory[_ENDED] and code >= 0:
        sys.exit(code)
    running = last_call(memory)
    if -code in _FROM_OUTSIDE:
        _die_of(-code, running)
    sys.stderr.write(f"error: {_ended_early(running, code)}\n")
    sys.exit(_WRONG_LF if running else _UNEXPECTED)


def _typed() -> bool:
    """Whether a SIGINT comes from the terminal, which sends it to both processes."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # no terminal
        return False


def _die_of(number: int, running: str) -> NoReturn:
    """End by the same signal as the child, so that a shell sees it."""
    if number == getattr(signal, "SIGKILL", None):
        where = f" while {running} ran" if running else ""
        sys.stderr.write(
            f"error: the command was killed{where} (SIGKILL), perhaps because memory ran out\n"
        )
        sys.stderr.flush()
    else:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _ended_early(running: str, code: int) -> str:
    how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
    if not running:
        return f"the command ended before it was done ({how})"
    return (
        f"{running} ended the process ({how}), so the command could not finish. Correct it: an LF "
        "returns a vote or raises an exception"
    )
