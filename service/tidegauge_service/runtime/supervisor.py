"""Starts worker processes, watches them from outside, and starts again those that die.

A worker may be ended at any moment: what it had not committed is read again. So the answer to
everything is the same: SIGKILL, and a new one. What a worker was doing when it got stuck is in
its heartbeat; an LF that did not come back is quarantined before the next worker starts.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import structlog

from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import KafkaSource, StreamConfig
from tidegauge_service.errors import SettingsError, SourceError, StoreError, WorkerFailed
from tidegauge_service.ingest.heartbeat import (
    Beat,
    Heartbeat,
    HeartbeatWatch,
    Phase,
    stopped_from_outside,
)
from tidegauge_service.ingest.open_deployments import Columns
from tidegauge_service.jobs.quarantine import quarantine_lf
from tidegauge_service.runtime.consumer import Health
from tidegauge_service.runtime.worker_process import CALLS, DONE, FATAL, PROBLEM, READY, Task
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

PROCESS: Final = "process"
"""The part of a worker that is in trouble when it died."""

LOOK_S: Final = 0.25
"""How often workers are looked at."""

FIRST_RESTART_S, LONGEST_RESTART_S = 1.0, 60.0
"""Pauses before a worker is started again: doubled each time, up to the longest."""

STEADY_S: Final = 60.0
"""A worker that lived so long starts the pauses from the first again."""

SINGLE: Final = frozenset({"file", "demo"})
"""Sources that have no group: a second reader would read everything a second time."""

FATAL_CODES: Final = frozenset({2, 4})
"""Exit codes that another start would only repeat: a wrong setting, too many dead letters."""


DEATHS: Final = 3
"""A worker that dies so often in a row in one LF has that LF quarantined."""

KILLED: Final = frozenset({signal.SIGKILL, signal.SIGTERM})
"""What also comes from outside: the kernel short of memory, an operator, a container's end."""

CRASHED_STARTS: Final = 5
"""After so many starts in a row that a signal ended, the next would end so, too."""

SMALLER: Final = 10
"""By how much the first batch shrinks when a worker was ended over a batch, not in an LF."""
UNREADABLE: Final = SourceError.exit_code


@dataclass
class WorkerSlot:
    """The place of one worker, and the process that fills it now."""

    name: str
    config: StreamConfig
    watch: HeartbeatWatch
    process: subprocess.Popen[bytes] | None = None
    heartbeat: Heartbeat | None = None
    reports: int | None = None
    unread: bytes = b""
    stream: StreamRow | None = None
    """Known once a worker was ready."""
    calls: Columns = ()
    fatal: tuple[int, str] | None = None
    done: bool = False
    """It said that it has read everything."""
    finished: bool = False
    failures: int = 0
    blamed: tuple[str, int] | None = None
    """The LF that the last one died in: its ProbeSet and column there."""
    deaths: int = 0
    """How often in a row."""
    oversized: int = 0
    """How often in a row one was ended over a batch, outside of LFs."""
    started_s: float = 0.0
    start_s: float = 0.0
    """When the next process may start (monotonic)."""
    pending_quarantine: partial[None] | None = None
    """The quarantine that must be in the database before the next one starts."""
    parts: frozenset[str] = frozenset()
    """Those that are in trouble."""


def seats(configs: Sequence[StreamConfig], workers: int, *, static: bool) -> list[WorkerSlot]:
    """Return the seats of *workers* of each stream.

    *static*: members of Kafka groups keep their seats over a restart unless ``source.instance``
    says otherwise. Raises SettingsError for a source that only one process can read.
    """
    found = []
    for config in configs:
        if workers > 1 and config.source.kind in SINGLE:
            msg = (
                f"stream '{config.name}' has a {config.source.kind} source, which one process "
                "reads: use --workers 1"
            )
            raise SettingsError(msg)
        for n in range(1, workers + 1):
            seated = _seated(config, n, static=static)
            found.append(WorkerSlot(f"{config.name}-{n}", seated, HeartbeatWatch(config.watchdog)))
        if workers > 1 and _named_alike(found[-workers:]):
            msg = f"stream '{config.name}': source.instance must hold {{worker}}: one seat each"
            raise SettingsError(msg)
    return found


def _named_alike(found: Sequence[WorkerSlot]) -> bool:
    sources = [seat.config.source for seat in found]
    names = [s.instance for s in sources if isinstance(s, KafkaSource) and s.instance]
    return len(set(names)) < len(names)


DEFAULT_INSTANCE: Final = "{hostname}-{stream}-{worker}"

_INSTANCE: Final = re.compile(r"[A-Za-z0-9._-]{0,249}")
"""What Kafka takes for a name; empty: none."""


def _seated(config: StreamConfig, worker: int, *, static: bool) -> StreamConfig:
    """Fill in the name that Kafka knows the worker's seat by."""
    source = config.source
    if not isinstance(source, KafkaSource):
        return config
    template = source.instance
    if template is None and static:
        template = DEFAULT_INSTANCE
    host = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
    try:
        name = (template or "").format(hostname=host, stream=config.name, worker=worker)
    except (KeyError, IndexError, ValueError, AttributeError):
        name = "?"
    if not _INSTANCE.fullmatch(name):
        msg = (
            f"stream '{config.name}': source.instance '{template}' may hold {{hostname}}, "
            "{stream} and {worker} only, beside letters, digits, '.', '_' and '-'; at most 249"
        )
        raise SettingsError(msg)
    return config.model_copy(update={"source": source.model_copy(update={"instance": name})})


def restart_s(failures: int, jitter: float) -> float:
    """Return the pause before the start after the *failures*-th failure; *jitter* in 0…1.

    >>> [restart_s(n, 1.0) for n in (1, 2, 7, 1_000)], restart_s(1, 0.0)
    ([1.0, 2.0, 60.0, 60.0], 0.5)
    """
    longest = min(LONGEST_RESTART_S, FIRST_RESTART_S * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + jitter / 2)


class Supervisor:
    """Keeps the seats filled until it is told to stop, or all have finished."""

    def __init__(
        self,
        seats: Sequence[WorkerSlot],
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        drain: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._seats = seats
        self._settings = settings
        self._database = database
        self._clock = clock
        self._drain = drain
        self._environment = {**os.environ, **(environment or {})}
        self._random = random.Random()  # noqa: S311  (jitter)
        self.health = Health()
        self.stopping = threading.Event()
        self.ready = threading.Event()
        """All seats have been filled once, or nothing will be."""

    @property
    def finished(self) -> bool:
        """Whether every worker has read its source to the end."""
        return all(seat.finished for seat in self._seats)

    def run(self) -> None:
        """Work until told to stop; WorkerFailed when a worker ends for good with an error."""
        try:
            while not self.stopping.is_set():
                for seat in self._seats:
                    self._look(seat)
                if self.finished:
                    return
                if all(seat.stream for seat in self._seats):
                    self.ready.set()
                self.stopping.wait(LOOK_S)
        finally:
            self._end()
            self.stopping.set()
            self.ready.set()

    def _look(self, seat: WorkerSlot) -> None:
        if seat.finished:
            return
        if seat.process is None:
            if self._may_start(seat):
                try:
                    self._start(seat)
                except OSError as error:  # no memory, no descriptors, a full disk: others live on
                    _let_go(seat)
                    self._failed(seat, f"it cannot be started: {error}", 0.0)
            return
        code = seat.process.poll()
        self._listen(seat)
        if code is not None:
            self._ended(seat, code)
        else:
            self._judge(seat)

    def _may_start(self, seat: WorkerSlot) -> bool:
        if time.monotonic() < seat.start_s:
            return False
        if seat.pending_quarantine is not None:
            try:
                seat.pending_quarantine()
            except StoreError as error:
                self._trouble(seat, "quarantine", str(error))
                seat.start_s = time.monotonic() + FIRST_RESTART_S
                return False
            seat.pending_quarantine = None
            self._trouble(seat, "quarantine", None)
        return True

    def _start(self, seat: WorkerSlot) -> None:
        seat.heartbeat = Heartbeat()
        seat.reports, writing = os.pipe()
        seat.unread, seat.fatal, seat.done = b"", None, False
        try:
            os.set_blocking(seat.reports, False)
            task = Task(
                seat.name,
                seat.config,
                self._settings,
                self._drain,
                seat.heartbeat.fd,
                writing,
                _first_batch(seat),
            )
            # -P: modules of the working directory must not stand in for ours. A group of its own:
            # Ctrl-C reaches the supervisor alone, which tells the workers.
            seat.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidegauge_service.runtime.worker_process"],
                stdin=subprocess.PIPE,
                pass_fds=(task.heartbeat, task.reports),
                env=self._environment,
                process_group=0,
            )
        finally:
            os.close(writing)
        seat.started_s = time.monotonic()
        with suppress(BrokenPipeError):  # it died at once: its exit code will tell
            _feed(seat.process, pickle.dumps(task))
        log.info("worker_started", worker=seat.name, pid=seat.process.pid)

    def _listen(self, seat: WorkerSlot) -> None:
        for what, *details in _lines(seat):
            if what == READY:
                seat.stream = StreamRow(*details[0])
                if not seat.deaths:  # else it must first get past where the last one died
                    self._trouble(seat, PROCESS, None)
            elif what == CALLS:
                seat.calls = details[0]
            elif what == PROBLEM:
                self._trouble(seat, *details)
            elif what == FATAL:
                seat.fatal = (details[0], details[1])
            elif what == DONE:
                seat.done = True

    def _trouble(self, seat: WorkerSlot, part: str, problem: str | None) -> None:
        seat.parts = seat.parts | {part} if problem else seat.parts - {part}
        self.health.report(f"{seat.name} {part}", problem)

    def _judge(self, seat: WorkerSlot) -> None:
        """End a worker that is stuck; quarantine the LF it is stuck in."""
        if seat.process is None or seat.heartbeat is None:
            return
        if seat.deaths and seat.heartbeat.progress:
            self._trouble(seat, PROCESS, None)
        beat, pid = seat.heartbeat.read(), seat.process.pid
        spent = seat.watch.look(beat, time.monotonic(), stopped=stopped_from_outside(pid))
        if spent is None:
            return
        seat.process.kill()
        limit = seat.config.watchdog.batch / 1000
        why = f"it did not finish a batch within {limit:g} s (watchdog.batch)"
        lf = self._blame(seat, beat, why) if beat.phase is Phase.PROBING else None
        log.error(
            "worker_stuck", worker=seat.name, phase=beat.phase.name.lower(), lf=lf, seconds=spent
        )

    def _blame(self, seat: WorkerSlot, beat: Beat, why: str) -> str | None:
        """Have an LF quarantined before the next worker starts."""
        if seat.stream is None:
            return None
        probe_set, place, probe = seat.calls[beat.column]
        seat.pending_quarantine = partial(
            quarantine_lf,
            self._database,
            replace(seat.stream, probe_set=probe_set),
            place,
            probe,
            why,
            receivers=seat.config.alerts.receivers,
            now_ms=self._clock(),
            url=self._settings.url or "",
        )
        return probe

    def _ended(self, seat: WorkerSlot, code: int) -> None:
        lived = time.monotonic() - seat.started_s
        done = code == 0 and (seat.done or self.stopping.is_set())
        if not done:
            self._note_death(seat, code)
        _let_go(seat)
        for part in seat.parts - {PROCESS}:
            self._trouble(seat, part, None)
        if done:
            seat.finished = True
            log.info("worker_finished", worker=seat.name)
            return
        if seat.fatal is not None:
            fatal, what = seat.fatal
            # A run to the end of files is a batch job: nobody brings a broken file back meanwhile.
            hopeless = self._drain and seat.config.source.kind == "file" and fatal == UNREADABLE
            if hopeless or fatal in FATAL_CODES or seat.stream is None:
                raise WorkerFailed(what, fatal)
        else:
            what = f"it ended with {_ending(code)}, unasked; see the log"
            if self._never_starts(seat, code):
                raise WorkerFailed(f"worker {seat.name}: {what}", max(code, 1))
        self._failed(seat, what, lived)

    def _never_starts(self, seat: WorkerSlot, code: int) -> bool:
        """Whether another start would end as this one did: a module that ends the process."""
        if seat.stream is not None or -code in KILLED:
            return False
        return code >= 0 or seat.failures + 1 >= CRASHED_STARTS

    def _note_death(self, seat: WorkerSlot, code: int) -> None:
        """Find out whether the worker dies again and again over one LF, or over one batch.

        Who is killed from outside is in some LF most of the time; so a kill counts against the LF
        only if the worker got nothing committed, which is what a record that kills looks like.
        """
        if (
            seat.heartbeat is None or seat.pending_quarantine is not None
        ):  # the watchdog has ended it, and blamed the LF
            seat.blamed, seat.deaths = None, 0
            return
        beat, progress = seat.heartbeat.read(), seat.heartbeat.progress
        over_batch = beat.phase in {Phase.DECODING, Phase.COUNTING}
        seat.oversized = seat.oversized + 1 if over_batch else 0
        fatal_lf = beat.phase is Phase.PROBING and not (-code in KILLED and progress)
        if not fatal_lf or beat.column >= len(seat.calls):
            seat.blamed, seat.deaths = None, 0
            return
        lf = seat.calls[beat.column][0], beat.column
        seat.deaths = seat.deaths + 1 if lf == seat.blamed else 1
        seat.blamed = lf
        if seat.deaths >= DEATHS:
            why = f"the worker died in it {DEATHS} times in a row, last with {_ending(code)}"
            self._blame(seat, beat, why)
            seat.blamed, seat.deaths = None, 0

    def _failed(self, seat: WorkerSlot, what: str, lived_s: float) -> None:
        """Start another after a pause."""
        seat.failures = 1 if lived_s > STEADY_S else seat.failures + 1
        pause = restart_s(seat.failures, self._random.random())
        seat.start_s = time.monotonic() + pause
        log.error("worker_died", worker=seat.name, why=what, restart_in_s=round(pause, 1))
        self._trouble(seat, PROCESS, f"{what}; started again")

    def _end(self) -> None:
        """Tell all to stop, wait for the grace, end the rest: nothing of it is lost."""
        alive = [seat.process for seat in self._seats if seat.process is not None]
        for process in alive:
            process.terminate()
        until = time.monotonic() + self._settings.grace / 1000
        for process in alive:
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                log.warning("worker_killed", pid=process.pid, why="the grace is over")
                process.kill()
                process.wait()
        for seat in self._seats:
            _let_go(seat)


def _feed(process: subprocess.Popen[bytes], task: bytes) -> None:
    """Write the task; the pipe stays open for as long as we live."""
    if process.stdin is not None:
        process.stdin.write(task)
        process.stdin.flush()


def _lines(seat: WorkerSlot) -> Iterator[Any]:
    """Yield what the worker has said since the last time."""
    if seat.reports is None:
        return
    with suppress(BlockingIOError):
        while found := os.read(seat.reports, 65_536):
            seat.unread += found
    *whole, seat.unread = seat.unread.split(b"\n")
    yield from map(json.loads, whole)


def _let_go(seat: WorkerSlot) -> None:
    if seat.process is not None and seat.process.stdin is not None:
        with suppress(BrokenPipeError):
            seat.process.stdin.close()
    if seat.heartbeat is not None:
        seat.heartbeat.close()
    if seat.reports is not None:
        os.close(seat.reports)
    seat.process = seat.heartbeat = seat.reports = None


def _first_batch(seat: WorkerSlot) -> int | None:
    """Return how many inputs the next worker takes at first, if not the usual number."""
    if not seat.oversized:
        return None
    return max(1, seat.config.limits.commit_records // int(SMALLER**seat.oversized))


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
