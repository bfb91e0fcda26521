"""A stage for `edges`: a stream whose processes are killed, and an oracle that counts its rows.

The oracle uses nothing of the product: it counts record by record what was written.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.crash.processes import Orphan, children
from tests.e2e.running import last_json, started, tidegauge
from tidegauge_probes.counts import panes

MINUTE = 60_000
WINDOW, LATENESS = 10 * MINUTE, 5 * MINUTE
START = 1_600_000_200_000 // WINDOW * WINDOW
TOKEN = "a-token-of-the-edges"
NAMES = ("free", "short", "boom", "leave", "deadly")

LFS = """
import os, signal, sys, time
from tidegauge_probes import ProbeSet, labeling_function

@labeling_function()
def free(x):
    time.sleep(0.0005)
    return 1 if "free" in x.text else -1

@labeling_function()
def short(x):
    return 0 if len(x.text.split()) < 3 else -1

@labeling_function()
def boom(x):
    if "boom" in x.text:
        raise ValueError(x.text)
    return -1

@labeling_function()
def leave(x):
    if "leave" in x.text:
        sys.exit(0)
    return -1

@labeling_function()
def deadly(x):
    if "exit" in x.text:
        os._exit(0)
    if "kill" in x.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1 if "cheap" in x.text else -1

LFS = ProbeSet.of([free, short, boom, leave, deadly], classes=("HAM", "SPAM"))
"""

TEXTS = ("free", "free fish for all", "hello", "what is this about", "boom", "boom free now",
         "leave", "leave us free", "cheap", "cheap things for free")  # fmt: skip

Row = dict[str, Any]
Counts = Counter[tuple[int, str]]
"""(window start, what) → how many; what: records, late, or an LF and what it did."""


def votes(text: str) -> dict[str, str]:
    """Return what each LF does with a text."""
    return {
        "free": "SPAM" if "free" in text else "abstain",
        "short": "HAM" if len(text.split()) < 3 else "abstain",
        "boom": "error" if "boom" in text else "abstain",
        "leave": "error" if "leave" in text else "abstain",
        "deadly": "SPAM" if "cheap" in text else "abstain",
    }


def jsonl(rows: Sequence[Row]) -> bytes:
    """Return rows as lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclass
class Partition:
    """The newest event of what is read in one order."""

    latest: int = 0


@dataclass
class Oracle:
    """What must have been counted."""

    counts: Counts = field(default_factory=Counter)
    closed: int = 0
    latest: int = 0
    records: int = 0

    def take(self, rows: Sequence[Row], of: Partition, *, quarantined: bool = False) -> None:
        """Count rows that follow one another in a partition."""
        for row in rows:
            at = row["timestamp"]
            start = at - at % WINDOW
            self.records += 1
            if start < self.closed or of.latest >= start + WINDOW + LATENESS:
                self.counts[start, "late"] += 1
            else:
                self._count(start, row["text"], quarantined=quarantined)
            of.latest = max(of.latest, at)
            self.latest = max(self.latest, at)

    def _count(self, start: int, text: str, *, quarantined: bool) -> None:
        self.counts[start, "records"] += 1
        for name, vote in (votes(text) | ({"deadly": "error"} if quarantined else {})).items():
            self.counts[start, f"{name} {vote}"] += 1

    def drained(self) -> None:
        """A run came to its end: every window that has a record is closed."""
        self.closed = max(self.closed, self.latest - self.latest % WINDOW + WINDOW)

    @property
    def late(self) -> int:
        """How many rows are late."""
        return sum(n for (_, what), n in self.counts.items() if what == "late")


@dataclass
class Stage:
    """A stream in a folder, and the kills that its processes have to bear."""

    folder: Path
    random: random.Random
    left: int
    name: str = "edge"
    made: int = 0
    clock: int = START
    ids: int = 0
    orphans: list[Orphan] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of every process."""
        return {"database": f"sqlite:///{self.folder}/edge.db", "token": TOKEN}

    def write_stream(self, source: Row, *, commit_records: int = 40) -> None:
        """Write the stream file and its LFs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "edge_lfs.py").write_text(LFS)
        until = START + 6 * WINDOW
        document = {
            "name": self.name,
            "source": source,
            "record": {"id": "id", "timestamp": "timestamp", "text": "text"},
            "probes": "edge_lfs:LFS",
            "window": "10m",
            "lateness": "5m",
            "baseline": {"from": _iso(START), "until": _iso(until)},
            "limits": {"commit_records": commit_records, "commit_interval": "100ms"},
        }
        (self.folder / "stream.yaml").write_text(yaml.safe_dump(document))

    def rows(self, n: int, *, back: float = 0.0) -> list[Row]:
        """Return rows from the clock on, out of order by less than the lateness, some by more.

        Times are whole minutes, so that the very ends of windows and of the lateness are met.
        """
        return [self._row(k, back) for k in range(n)]

    def _row(self, k: int, back: float) -> Row:
        self.ids += 1
        behind = self.random.randrange(4 * MINUTE)
        if self.random.random() < back:
            behind = self.random.randrange(90 * MINUTE)
        at = max(START, self.clock + k * 8_000 - behind)
        text = self.random.choice(TEXTS)
        return {"id": f"r{self.ids}", "timestamp": at - at % MINUTE, "text": text}

    def later(self) -> None:
        """Let all that is made from now on be newer than all before."""
        self.clock += 150 * MINUTE

    def finish(self, *command: str, most: int = 4) -> None:
        """Run a command again and again, killed at random, until it ends with 0."""
        enough = max(0, self.left - most)
        for _ in range(40):
            struck, code = self.life(command, enough)
            if code == 0:
                return self._settle()
            if not struck:
                raise AssertionError(f"exit {code}: {self.log.read_text()[-3_000:]}")
        raise AssertionError(f"{command} never ends: {self.log.read_text()[-3_000:]}")

    @property
    def log(self) -> Path:
        """What the last process wrote."""
        return self.folder / "process.log"

    def life(self, command: Sequence[str], enough: int = 0) -> tuple[int, int]:
        """Start a process and strike it until *enough* kills are left; return strikes and code."""
        process = started(*command, cwd=self.folder, log=self.log, **self.settings)
        before = self.made
        aims: list[Aim] = [self._worker] * self.random.randrange(3)
        for aim in [*aims, self.random.choice([self._supervisor, self.kill_all])]:
            if self.left > enough and self._comes(process):
                aim(process)
        return self.made - before, process.wait(timeout=180)

    def _comes(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(timeout=self.random.uniform(0.3, 3.5))
        except subprocess.TimeoutExpired:
            return True
        return False

    def _worker(self, process: subprocess.Popen[bytes]) -> None:
        for pid in children(process.pid):
            self._kill(pid)

    def _supervisor(self, process: subprocess.Popen[bytes]) -> None:
        orphans = [Orphan(pid) for pid in children(process.pid)]
        self.orphans += orphans
        self._kill(process.pid)

    def kill_all(self, process: subprocess.Popen[bytes]) -> None:
        workers = [Orphan(pid) for pid in children(process.pid)]
        self._kill(process.pid)
        for worker in workers:
            worker.leaves(0)

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.made += 1
            self.left -= 1

    def _settle(self) -> None:
        stayed = [orphan.pid for orphan in self.orphans if not orphan.leaves(20)]
        self.orphans.clear()
        if stayed:
            self.faults.append(f"workers without a supervisor stayed: {stayed}")

    def found(self, database: str = "edge.db") -> Counts:
        """Return what the database holds."""
        found: Counts = Counter()
        with sqlite3.connect(self.folder / database) as connection:
            for start, pane in connection.execute("SELECT window_start_ms, counts FROM pane"):
                found.update({(start, what): n for what, n in _cells(pane).items()})
            for start, n in connection.execute("SELECT window_start_ms, n FROM late_count"):
                found[start, "late"] += n
        connection.close()
        return +found

    def compare(self, oracle: Oracle, database: str = "edge.db") -> None:
        """Note each cell that differs."""
        found, expected = self.found(database), +oracle.counts
        for key in sorted(found.keys() | expected.keys()):
            if found[key] != expected[key]:
                self.faults.append(f"{key} is {found[key]}, not {expected[key]}")

    def ask(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command that nobody kills, and that must end with a certain code."""
        database, token = self.settings["database"], self.settings["token"]
        done = tidegauge(*command, cwd=self.folder, check=False, database=database, token=token)
        assert done.returncode == code, (done.returncode, done.stderr)
        return done

    def gaps(self) -> list[Row]:
        """Return the recorded gaps."""
        done = self.ask("streams", "gaps", self.name, "--json")
        gaps: list[Row] = last_json(done.stdout)["gaps"]
        return gaps


Aim = Callable[[subprocess.Popen[bytes]], None]


def _iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


def _cells(pane: bytes) -> Counter[str]:
    whole = panes.decode(pane).segments["_all"]
    found = Counter({"records": int(whole.totals[panes.RECORDS])})
    for name, row in zip(NAMES, whole.outcomes.tolist(), strict=True):
        for vote, n in zip(("HAM", "SPAM", "abstain", "error"), row, strict=True):
            found[f"{name} {vote}"] += n
    return found
