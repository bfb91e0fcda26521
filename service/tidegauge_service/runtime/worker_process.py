"""The process of one worker, as its supervisor starts it: ``python -m`` this module.

It gets its task on standard input, which then stays open: its end means that the supervisor is
gone, and the worker leaves. What there is to say goes to a pipe, one JSON array a line.
"""

from __future__ import annotations

import gc
import json
import math
import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import astuple
from typing import Any

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service import logs
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import exit_code_of
from tidegauge_service.ingest.heartbeat import Heartbeat, Phase
from tidegauge_service.runtime.consumer import Service
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.pipeline import open_pipeline
from tidegauge_service.runtime.worker_protocol import (
    CALLS,
    DONE,
    FATAL,
    PROBLEM,
    READY,
    Task,
)
from tidegauge_service.store.engine import Database


class Reports:
    """The worker's end of the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def say(self, what: str, *details: Any) -> None:
        """Write one line; nobody may listen any more."""
        with self._lock, suppress(BrokenPipeError):
            os.write(self._fd, json.dumps([what, *details]).encode() + b"\n")


def main() -> int:
    """Work until the supervisor says that it is enough."""
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301  (our parent wrote it)
    logs.configure(task.settings.log_level, worker=task.name)
    reports = Reports(task.reports)
    try:
        _work(task, reports)
    except TidegaugeError as error:
        code = exit_code_of(error)
        reports.say(FATAL, code, str(error))
        return code
    return 0


def _work(task: Task, reports: Reports) -> None:
    stop = threading.Event()
    _listen(stop, task.settings.grace / 1000)
    heartbeat = Heartbeat(task.heartbeat)
    database = Database(task.settings.database.get_secret_value())
    pipeline = open_pipeline(
        task.config,
        task.settings,
        database,
        now_ms,
        beat=heartbeat.beat,
        renewed=lambda columns: reports.say(CALLS, columns),
    )
    if task.first_batch is not None:
        pipeline.worker.begin_with(task.first_batch)
    health = Health(changed=lambda part, what: reports.say(PROBLEM, part, what))
    service = Service(
        database,
        [pipeline],
        task.settings,
        now_ms,
        health=health,
        stopping=stop,
        progressed=heartbeat.progressed,
    )
    reports.say(READY, astuple(pipeline.scope.stream))
    # What is alive now stays alive: the collector need not walk it again and again, which took a
    # third of the time of a worker.
    gc.collect()
    gc.freeze()
    try:
        if task.drain:
            service.drain()
            if not stop.is_set():
                reports.say(DONE)
        else:
            service.start()
            stop.wait()
    finally:
        heartbeat.beat(Phase.STARTING)
        service.stop()
        database.close()
    if health.fatal is not None:
        raise health.fatal


def _listen(stop: threading.Event, grace_s: float) -> None:
    """Stop on SIGTERM, and when the supervisor is gone; after the grace the kernel ends us.

    Ctrl-C reaches all processes of a terminal; the supervisor makes a SIGTERM of it.
    """

    def on_signal(_number: int, _frame: object) -> None:
        stop.set()
        signal.alarm(math.ceil(grace_s) + 1)

    def until_orphaned() -> None:
        # Not sys.stdin.read: its lock, held at exit by a thread that waits, would abort us.
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_signal)
    threading.Thread(target=until_orphaned, name="supervisor", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
