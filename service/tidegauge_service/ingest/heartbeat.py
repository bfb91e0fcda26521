"""What a worker is doing, in memory that its supervisor reads; and when that takes too long.

A thread of the worker could not watch it: a regular expression that runs away holds Python's
lock, and no other thread of the process gets to run. So the supervisor looks from outside.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final, Protocol

from tidegauge_service.config.stream_file import Watchdog

NO_LF: Final = -1

Columns = Sequence[tuple[str, int, str]]
"""ProbeSet, place in it, name: of each LF and slicing function that may run, by its column."""

_BEAT: Final = struct.Struct("<qqd")  # phase, column of the LF, monotonic seconds of its start

_PROGRESS: Final = struct.Struct("<q")  # batches with inputs that were committed

_SIZE: Final = _BEAT.size + _PROGRESS.size

LATE_LOOK_S: Final = 5.0
"""A supervisor that looks so late was itself stopped: what it sees says nothing of the worker."""


class Phase(IntEnum):
    """What a worker can be doing."""

    STARTING = 0  # or it is on its way out
    POLLING = 1  # asking the source
    DECODING = 2
    PROBING = 3  # an LF or slicing function runs over the batch
    COUNTING = 4
    STORING = 5  # talking to the database
    WAITING = 6  # for a database or source that is down


@dataclass(frozen=True, slots=True)
class Beat:
    """A phase, the LF's column in it (``NO_LF``: none), and when it began (monotonic s)."""

    phase: Phase = Phase.STARTING
    column: int = NO_LF
    since_s: float = 0.0


class Heartbeat:
    """32 bytes that both processes map. One writer; *fd* is handed to it."""

    def __init__(self, fd: int | None = None) -> None:
        """Map *fd*, or new memory; OSError if there is none."""
        self.fd = _memory() if fd is None else fd
        self._memory = mmap.mmap(self.fd, _SIZE)

    def beat(self, phase: Phase, column: int = NO_LF, spent_s: float = 0.0) -> None:
        """Say that *phase* begins now, or goes on after *spent_s* seconds: one small write."""
        # The monotonic clock is one for all processes of a machine, and no clock jump moves it.
        _BEAT.pack_into(self._memory, 0, phase, column, time.monotonic() - spent_s)

    def read(self) -> Beat:
        """Return the last beat; one that is being written may be a mixture of two."""
        phase, column, since = _BEAT.unpack_from(self._memory, 0)
        return Beat(Phase(phase), column, since)

    def progressed(self) -> None:
        """Say that another batch with inputs is committed."""
        (batches,) = _PROGRESS.unpack_from(self._memory, _BEAT.size)
        _PROGRESS.pack_into(self._memory, _BEAT.size, batches + 1)

    @property
    def progress(self) -> int:
        """How many batches with inputs this worker has committed since it started."""
        return int(_PROGRESS.unpack_from(self._memory, _BEAT.size)[0])

    def close(self) -> None:
        """Let the memory go."""
        self._memory.close()
        os.close(self.fd)


def _memory() -> int:
    """Return a descriptor of memory without a file: a beat into one on a full disk is a SIGBUS."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("tidegauge-heartbeat")
    else:
        with tempfile.TemporaryFile(prefix="tidegauge-") as file:
            fd = os.dup(file.fileno())
    try:
        os.truncate(fd, _SIZE)
    except OSError:
        os.close(fd)
        raise
    return fd


class Beats(Protocol):
    """What hears of a worker's beats: ``Heartbeat.beat``."""

    def __call__(self, phase: Phase, column: int = NO_LF, spent_s: float = 0.0, /) -> None:
        """Hear of one."""


def no_beat(_phase: Phase, _column: int = NO_LF, _spent_s: float = 0.0, /) -> None:
    """Nobody watches."""


@dataclass
class HeartbeatWatch:
    """Judges the beats of one worker. Durations of the limits are in ms, of the rest in s."""

    limits: Watchdog
    _last: Beat = field(default_factory=Beat)
    _looked_s: float | None = None
    _floor_s: float = 0.0
    """The worker or the watch stood still before this: time before it does not count."""

    def look(self, beat: Beat, now_s: float, *, stopped: bool = False) -> float | None:
        """Return for how many seconds the worker has been stuck, or None if it is not.

        *stopped*: it was halted from outside (SIGSTOP, a debugger), which no LF can help. A
        beat is judged only when it was seen twice: one read while it was written may be mixed.
        """
        if stopped or (self._looked_s is not None and now_s - self._looked_s > LATE_LOOK_S):
            self._floor_s = now_s
        same, self._last, self._looked_s = beat == self._last, beat, now_s
        limit = self._limit_s(beat.phase)
        spent = now_s - max(beat.since_s, self._floor_s)
        return spent if same and limit is not None and spent > limit else None

    def _limit_s(self, phase: Phase) -> float | None:
        if phase is Phase.POLLING:
            return self.limits.poll / 1000
        if phase in {Phase.DECODING, Phase.PROBING, Phase.COUNTING}:
            return self.limits.batch / 1000
        return None  # a slow database is waited for; a start may fit a baseline


def stopped_from_outside(pid: int) -> bool:
    """Whether a process is halted by a signal or a debugger; Linux only, elsewhere no."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}
