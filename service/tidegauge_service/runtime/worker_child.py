"""One worker process as its supervisor holds it: started, listened to, let go."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.heartbeat import Heartbeat
from tidegauge_service.runtime.death_record import Death
from tidegauge_service.runtime.worker_protocol import Task


@dataclass
class WorkerChild:
    """A process, the heartbeat it shares with us, and the pipe of its reports."""

    process: subprocess.Popen[bytes]
    heartbeat: Heartbeat
    reports: int
    """File descriptor of our end of the pipe, which never blocks."""
    fatal: tuple[int, str] | None = None
    """Exit code and text of the error that it reported before it ended."""
    done: bool = False
    """Whether it has reported that it read everything."""
    started_s: float = field(default_factory=time.monotonic)
    _unread: bytes = b""

    @property
    def lived_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_s

    def lines(self) -> Iterator[Any]:
        """Yield what it has reported since the last time."""
        with suppress(BlockingIOError):
            while found := os.read(self.reports, 65_536):
                self._unread += found
        *whole, self._unread = self._unread.split(b"\n")
        yield from map(json.loads, whole)

    def death(self, code: int) -> Death:
        """Return how it ended."""
        return Death(code, self.heartbeat.read(), self.heartbeat.progress)

    def close(self) -> None:
        """Close what is shared with it. If it still runs, it leaves: its standard input ends."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        self.heartbeat.close()
        os.close(self.reports)


def start_child(
    name: str,
    config: StreamConfig,
    settings: Settings,
    *,
    drain: bool,
    first_batch: int | None,
    environment: Mapping[str, str],
) -> WorkerChild:
    """Start a worker process and give it its task.

    Raises OSError if there is no memory, no descriptor or no process to be had; nothing is left
    open then.
    """
    with ExitStack() as undo:
        heartbeat = Heartbeat()
        undo.callback(heartbeat.close)
        reports, writing = os.pipe()
        undo.callback(os.close, reports)
        try:
            os.set_blocking(reports, False)
            task = Task(name, config, settings, drain, heartbeat.fd, writing, first_batch)
            # -P: modules of the working directory must not stand in for ours. A group of its own:
            # Ctrl-C reaches the supervisor alone, which tells the workers.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidegauge_service.runtime.worker_process"],
                stdin=subprocess.PIPE,
                pass_fds=(task.heartbeat, task.reports),
                env=environment,
                process_group=0,
            )
        finally:
            os.close(writing)
        _feed(process, pickle.dumps(task))
        undo.pop_all()
    return WorkerChild(process, heartbeat, reports)


def _feed(process: subprocess.Popen[bytes], task: bytes) -> None:
    """Write the task; the pipe stays open for as long as we live."""
    if process.stdin is None:
        return
    with suppress(BrokenPipeError):  # it died at once: its exit code will tell
        process.stdin.write(task)
        process.stdin.flush()
