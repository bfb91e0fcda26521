"""Process trees of Linux: a supervisor and the workers it has started."""

from __future__ import annotations

import os
import resource
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and not yet buried."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def limit_files(pids: Iterable[int], size: int | None) -> None:
    """Let no file of them grow beyond so many bytes, as if the disk were full."""
    soft = resource.RLIM_INFINITY if size is None else size
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


class Orphan:
    """A process whose parent was killed; a descriptor of it, for its number may be reused."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def leaves(self, within_s: float) -> bool:
        """Wait for its end; kill it if that does not come. Return whether it came."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        left = bool(poll.poll(within_s * 1000))
        if not left:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        os.close(self._fd)
        return left
