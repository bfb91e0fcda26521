"""Workers as real processes: started, killed, stopped, frozen, woken."""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.running import environment

INJECT = Path(__file__).parent / "inject"
ROOT = Path(__file__).parents[2]

GRACE_S = 45.0
"""A worker that is told to stop (SIGTERM) must have exited, with 0, within so many seconds."""

RESTARTABLE = {3, 5}
"""Exit codes of a worker that could not start because a server was down (docs/cli.md)."""


def command(stream: Path) -> list[str]:
    """How a worker is started: the one place to change."""
    return [sys.executable, "-m", "tidegauge_service.cli", "run", str(stream), "--no-api"]


class ShiftedClock:
    """How far a worker's clock is off, in ms; the worker reads it anew each time it looks."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def set(self, ms: int) -> None:
        """Let the worker's clock jump."""
        self._memory[:8] = struct.pack("<q", ms)


@dataclass
class Trouble:
    """What went wrong with workers beside the counts."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Note it."""
        self.lines.append(line)


class Worker:
    """One place for a worker process; a new process takes it when the old one is gone."""

    def __init__(
        self,
        name: str,
        stream: Path,
        *,
        database: str,
        folder: Path,
        trouble: Trouble,
        inject: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.clock = ShiftedClock(folder / f"{name}.clock")
        self.log = folder / f"{name}.log"
        self.busy = threading.Lock()
        """Held by the one who does something to it."""
        self._stream = stream
        self._trouble = trouble
        self._env = {
            **environment(database=database),
            "PYTHONPATH": os.pathsep.join((str(INJECT), str(ROOT))),
            "TIDEGAUGE_TEST_CLOCK": str(self.clock.path),
            **{f"TIDEGAUGE_TEST_{k.upper()}": v for k, v in (inject or {}).items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command(self._stream),
                cwd=self._stream.parent,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def revive(self) -> None:
        """Start again a process that ended by itself; note it unless that was its right."""
        if self._process is None or self.running:
            return
        code = self._process.returncode
        if code not in RESTARTABLE:
            self._trouble.add(f"{self.name} ended by itself with code {code}: {self.log}")
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """Ask it to end; note it if it does not within the grace, or not with 0."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._trouble.add(f"{self.name} did not end within {GRACE_S:g} s of SIGTERM")
        else:
            if code not in {0, *RESTARTABLE, -signal.SIGTERM}:
                self._trouble.add(f"{self.name} answered SIGTERM with code {code}: {self.log}")
        self.kill()

    def limit_files(self, size: int | None) -> None:
        """Let no file of it grow beyond so many bytes, as if the disk were full."""
        soft = resource.RLIM_INFINITY if size is None else size
        with suppress(ProcessLookupError):
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def events(self, name: str) -> int:
        """How often it has logged an event, over all its lives."""
        n = 0
        if not self.log.exists():
            return 0
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, AttributeError):
                n += json.loads(line).get("event") == name
        return n
