"""Starts worker processes, watches them from outside, and starts again those that die.

A worker may be ended at any moment: what it had not committed is read again. So the answer to
everything is the same: SIGKILL, and a new one. What a worker was doing when it got stuck is in
its heartbeat; an LF that did not come back is quarantined before the next worker starts.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from tidegauge_alerts.backoff import Backoff
from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import SourceError, StoreError, WorkerFailed
from tidegauge_service.ingest.heartbeat import Beat, Columns, Phase, stopped_from_outside
from tidegauge_service.jobs.quarantine import quarantine_lf
from tidegauge_service.runtime.death_record import DEATHS, Death
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.worker_child import WorkerChild, start_child
from tidegauge_service.runtime.worker_protocol import CALLS, DONE, FATAL, PROBLEM, READY
from tidegauge_service.runtime.worker_slot import WorkerSlot
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

PROCESS: Final = "process"
"""The part of a worker that is reported when the worker died."""

LOOK_S: Final = 0.25
"""How often workers are checked."""

RESTART: Final = Backoff(1.0, 60.0)
"""Pauses before a worker is restarted."""

STEADY_S: Final = 60.0
"""After a worker has lived this long, the pauses start over."""

FATAL_CODES: Final = frozenset({2, 4})
"""Exit codes that a restart would only repeat: a wrong setting, too many dead letters."""

CRASHED_STARTS: Final = 5
"""After this many starts in a row that ended by a signal, the next one would end the same way."""

UNREADABLE: Final = SourceError.exit_code


class Supervisor:
    """Keeps the slots filled until it is told to stop, or all have finished."""

    def __init__(
        self,
        slots: Sequence[WorkerSlot],
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        drain: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._slots = slots
        self._settings = settings
        self._database = database
        self._clock = clock
        self._drain = drain
        self._environment = {**os.environ, **(environment or {})}
        self._random = random.Random()  # noqa: S311  (jitter)
        self.health = Health()
        self.stopping = threading.Event()
        self.ready = threading.Event()
        """Set once all slots have been filled, or never will be."""

    @property
    def finished(self) -> bool:
        """Whether every worker has read its source to the end."""
        return all(slot.finished for slot in self._slots)

    def run(self) -> None:
        """Work until told to stop; WorkerFailed when a worker ends for good with an error."""
        try:
            while not self.stopping.is_set():
                for slot in self._slots:
                    self._look(slot)
                if self.finished:
                    return
                if all(slot.stream for slot in self._slots):
                    self.ready.set()
                self.stopping.wait(LOOK_S)
        finally:
            self._end()
            log.info("stopped", workers=len(self._slots), finished=self.finished)
            self.stopping.set()
            self.ready.set()

    def _look(self, slot: WorkerSlot) -> None:
        if slot.finished:
            return
        if slot.child is None:
            if self._may_start(slot):
                self._start(slot)
            return
        code = slot.child.process.poll()
        self._listen(slot, slot.child)
        if code is not None:
            self._ended(slot, slot.child, code)
        else:
            self._watch(slot, slot.child)

    def _may_start(self, slot: WorkerSlot) -> bool:
        if time.monotonic() < slot.start_s:
            return False
        if slot.pending_quarantine is not None:
            try:
                slot.pending_quarantine()
            except StoreError as error:
                self._trouble(slot, "quarantine", str(error))
                slot.start_s = time.monotonic() + RESTART.first_s
                return False
            slot.pending_quarantine = None
            self._trouble(slot, "quarantine", None)
        return True

    def _start(self, slot: WorkerSlot) -> None:
        try:
            slot.child = start_child(
                slot.name,
                slot.config,
                self._settings,
                drain=self._drain,
                first_batch=slot.deaths.first_batch(slot.config.limits.commit_records),
                environment=self._environment,
            )
        except OSError as error:  # no memory, no descriptors, a full disk: others live on
            self._failed(slot, f"it cannot be started: {error}", 0.0)
        else:
            log.info("worker_started", worker=slot.name, pid=slot.child.process.pid)

    def _listen(self, slot: WorkerSlot, child: WorkerChild) -> None:
        for what, *details in child.lines():
            if what == READY:
                slot.stream = StreamRow(*details[0])
                if not slot.deaths.in_lf:  # else it must first get past where the last one died
                    self._trouble(slot, PROCESS, None)
            elif what == CALLS:
                slot.calls = details[0]
            elif what == PROBLEM:
                self._trouble(slot, *details)
            elif what == FATAL:
                child.fatal = (details[0], details[1])
            elif what == DONE:
                child.done = True

    def _trouble(self, slot: WorkerSlot, part: str, problem: str | None) -> None:
        slot.parts = slot.parts | {part} if problem else slot.parts - {part}
        self.health.report(f"{slot.name} {part}", problem)

    def _watch(self, slot: WorkerSlot, child: WorkerChild) -> None:
        """End a worker that is stuck; quarantine the LF it is stuck in."""
        if slot.deaths.in_lf and child.heartbeat.progress:
            self._trouble(slot, PROCESS, None)
        beat, stopped = child.heartbeat.read(), stopped_from_outside(child.process.pid)
        spent = slot.watch.look(beat, time.monotonic(), stopped=stopped)
        if spent is None:
            return
        child.process.kill()
        limit = slot.config.watchdog.batch / 1000
        why = f"it did not finish a batch within {limit:g} s (watchdog.batch)"
        lf = self._blame(slot, beat, why) if beat.phase is Phase.PROBING else None
        phase = beat.phase.name.lower()
        log.error("worker_stuck", worker=slot.name, phase=phase, lf=lf, seconds=spent)

    def _blame(self, slot: WorkerSlot, beat: Beat, why: str) -> str | None:
        """Have an LF quarantined before the next worker starts; return its name."""
        if slot.stream is None:
            return None
        probe_set, column, probe = slot.calls[beat.column]
        slot.pending_quarantine = partial(
            quarantine_lf,
            self._database,
            replace(slot.stream, probe_set=probe_set),
            column,
            probe,
            why,
            receivers=slot.config.alerts.receivers,
            now_ms=self._clock(),
            url=self._settings.url or "",
        )
        return probe

    def _ended(self, slot: WorkerSlot, child: WorkerChild, code: int) -> None:
        death, lived_s = child.death(code), child.lived_s
        done = code == 0 and (child.done or self.stopping.is_set())
        if not done:
            self._note_death(slot, death)
        child.close()
        slot.child = None
        for part in slot.parts - {PROCESS}:
            self._trouble(slot, part, None)
        if done:
            slot.finished = True
            log.info("worker_finished", worker=slot.name)
            return
        self._failed(slot, self._reason(slot, child, death), lived_s)

    def _reason(self, slot: WorkerSlot, child: WorkerChild, death: Death) -> str:
        """Return why a worker has died; WorkerFailed if another would die of the same."""
        if child.fatal is not None:
            code, text = child.fatal
            # A run to the end of files is a batch job: nobody brings a broken file back meanwhile.
            hopeless = self._drain and slot.config.source.kind == "file" and code == UNREADABLE
            if hopeless or code in FATAL_CODES or slot.stream is None:
                raise WorkerFailed(text, code)
            return text
        text = f"it ended unexpectedly with {death.text}{_where(death, slot.calls)}"
        if self._never_starts(slot, death):
            raise WorkerFailed(f"worker {slot.name}: {text}", max(death.code, 1))
        return text

    def _never_starts(self, slot: WorkerSlot, death: Death) -> bool:
        """Whether another start would end as this one did: a module that ends the process."""
        if slot.stream is not None or death.by_signal_from_outside:
            return False
        return death.code >= 0 or slot.failures + 1 >= CRASHED_STARTS

    def _note_death(self, slot: WorkerSlot, death: Death) -> None:
        """Quarantine an LF in which one worker after the other dies."""
        if slot.pending_quarantine is not None:  # the watchdog has ended it, and blamed the LF
            slot.deaths = slot.deaths.without_lf()
            return
        slot.deaths = slot.deaths.after(death, slot.calls)
        if slot.deaths.blames_lf:
            why = f"the worker died in this LF {DEATHS} times in a row, last with {death.text}"
            self._blame(slot, death.beat, why)
            slot.deaths = slot.deaths.without_lf()

    def _failed(self, slot: WorkerSlot, what: str, lived_s: float) -> None:
        """Start another after a pause."""
        slot.failures = 1 if lived_s > STEADY_S else slot.failures + 1
        pause = RESTART.pause_s(slot.failures, self._random.random())
        slot.start_s = time.monotonic() + pause
        log.error("worker_died", worker=slot.name, why=what, restart_in_s=round(pause, 1))
        self._trouble(slot, PROCESS, f"{what}; restarted")

    def _end(self) -> None:
        """Tell all to stop, wait for the grace, end the rest: nothing of it is lost."""
        alive = [slot.child for slot in self._slots if slot.child is not None]
        for child in alive:
            child.process.terminate()
        until = time.monotonic() + self._settings.grace / 1000
        for child in alive:
            try:
                child.process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                log.warning(
                    "worker_killed",
                    pid=child.process.pid,
                    why="it did not stop within the grace period",
                )
                child.process.kill()
                child.process.wait()
        for slot in self._slots:
            if slot.child is not None:
                slot.child.close()
                slot.child = None


def _where(death: Death, calls: Columns) -> str:
    """Say what a worker was doing when it died: people can look at that LF before it is blamed."""
    beat = death.beat
    if beat.phase is not Phase.PROBING or beat.column >= len(calls):
        return ""
    return f" while it ran LF '{calls[beat.column][2]}'"
