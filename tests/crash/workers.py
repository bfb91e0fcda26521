"""Workers as users start them: a supervisor and its worker process, killed, stopped, frozen."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.processes import Orphan, children, limit_files, tell
from tests.e2e.running import TIDEGAUGE, environment

INJECT = Path(__file__).parent / "inject"
PACKAGES = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
"""Where this process looks for the packages; the workers shall find the same."""

ROOT = Path(__file__).parents[2]

GRACE_S = 30.0
"""Who is told to stop, or has lost its supervisor, must have left within so many seconds: the
setting `grace` (8 s) on a machine that has much else to do."""

RESTARTABLE = {3, 5}
"""Exit codes of a worker that could not start because a server was down (docs/cli.md)."""

FAULTS = {"ingest_failed", "tick_failed", "worker_stuck"}
"""Events of the log that no fault of ours explains."""

EXPLAINED = ("SIGKILL", "cannot use")
"""Why a worker may have died: we killed it, or a server was away while it started."""


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
    """One place for a supervisor and its worker; new ones take it when the old are gone."""

    def __init__(
        self,
        name: str,
        stream: Path,
        *,
        database: str,
        folder: Path,
        trouble: Trouble,
        command: Sequence[str] = ("consume",),
        inject: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.name = name
        self.clock = ShiftedClock(folder / f"{name}.clock")
        self.log = folder / f"{name}.log"
        self.busy = threading.Lock()
        """Held by the one who does something to it."""
        self._stream = stream
        self._trouble = trouble
        self._command = [sys.executable, "-P", *TIDEGAUGE[1:], command[0], str(stream)]
        self._command += command[1:]
        self._env = {
            **environment(database=database, **settings),
            "PYTHONPATH": os.pathsep.join((str(INJECT), str(ROOT), *PACKAGES)),
            "TIDEGAUGE_TEST_CLOCK": str(self.clock.path),
            **{f"TIDEGAUGE_TEST_{k.upper()}": v for k, v in (inject or {}).items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether its supervisor lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """The processes: the supervisor first."""
        if self._process is None:
            return []
        return [self._process.pid, *children(self._process.pid)]

    def start(self) -> None:
        """Start it, as a user does."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._stream.parent,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def revive(self) -> None:
        """Start again what has ended by itself; note it unless that was its right."""
        if self._process is None or self.running:
            return
        code = self._process.returncode
        if code not in RESTARTABLE:
            self._trouble.add(f"{self.name} ended by itself with code {code}: {self.log}")
        self.start()

    def kill(self) -> None:
        """End supervisor and worker at once."""
        if self._process is None:
            return
        tell([self._process.pid], signal.SIGSTOP)  # it starts nothing new meanwhile
        tell(reversed(self.pids), signal.SIGKILL)
        self._process.wait()
        self._process = None

    def kill_worker(self) -> None:
        """End the worker at once; its supervisor starts another."""
        tell(self.pids[1:], signal.SIGKILL)

    def orphan(self) -> list[Orphan]:
        """End the supervisor at once; return its workers, which must leave by themselves."""
        if self._process is None:
            return []
        tell([self._process.pid], signal.SIGSTOP)
        orphans: list[Orphan] = []
        for pid in self.pids[1:]:
            with suppress(ProcessLookupError):
                orphans.append(Orphan(pid))
        tell([self._process.pid], signal.SIGKILL)
        self._process.wait()
        self._process = None
        return orphans

    def bury(self, orphans: Sequence[Orphan]) -> None:
        """See orphans leave; note it if one does not."""
        for orphan in orphans:
            if not orphan.leaves(GRACE_S):
                line = f"{self.name}: worker {orphan.pid} did not leave without its supervisor"
                self._trouble.add(line)

    def terminate(self) -> None:
        """Ask it to end; note it if it does not within the grace, or not with 0."""
        if self._process is None:
            return
        tell([self._process.pid], signal.SIGTERM)
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
        limit_files(self.pids, size)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what it has logged, over all its lives; what a kill has cut short is left out."""
        if not self.log.exists():
            return
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry

    def events(self, name: str) -> int:
        """How often it has logged an event."""
        return sum(entry.get("event") == name for entry in self.entries())

    def complaints(self) -> list[str]:
        """Return what it has logged that no fault of ours explains."""
        found = []
        for entry in self.entries():
            event, why = entry.get("event"), str(entry.get("why"))
            died = event == "worker_died" and not any(word in why for word in EXPLAINED)
            if died or event in FAULTS:
                found.append(f"{self.name} logged {json.dumps(entry)[:500]}")
        return found
