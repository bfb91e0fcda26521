"""The edge under kills: files that change, another source, LFs that end workers, history, clocks.

``python -m tests.crash.edges --kills 60 --seed 1``. What is expected is told from what was
written, by nothing of tidegauge's: each record carries its hour, and whether LFs vote on it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.running import TIDEGAUGE, environment, tidegauge
from tests.service import oracle
from tests.service.streams_for_tests import HOUR, START, write_jsonl, write_stream
from tidegauge_service.clock import to_iso
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database

LFS = """
import os, pathlib, signal, sys

def free(x):
    return 1 if "free" in x.text else -1

def exits(x):
    if "exit" in x.text:
        sys.exit(0)
    return 0

def kills(x):
    if "kill" in x.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0
"""


@dataclass
class Edge:
    """One stream in a folder of its own, the kills left for it, and what should be counted."""

    folder: Path
    rng: random.Random
    kills: int
    made: int = 0
    numbers: int = 0
    records: Counter[int] = field(default_factory=Counter)
    """Hour → records."""
    free: Counter[int] = field(default_factory=Counter)
    """Hour → votes of the LF ``free``."""

    @property
    def url(self) -> str:
        """The database of this scene."""
        return f"sqlite:///{self.folder}/edge.db"

    def rows(self, hour: int, n: int, words: Sequence[str] = ("free lunch", "hello")) -> list[Any]:
        """Return *n* records of an hour, and expect them to be counted once."""
        found = []
        for i in range(n):
            text = words[self.numbers % len(words)]
            at = START + hour * HOUR + i * HOUR // (n + 1)
            found.append({"id": f"r{self.numbers}", "timestamp": to_iso(at), "text": text})
            self.numbers += 1
            self.records[hour] += 1
            self.free[hour] += "free" in text
        return found

    def run(self, *arguments: str) -> None:
        """Run a command that is killed at random moments, then to its end, which must be good."""
        kills = min(self.kills, self.rng.randint(2, 4))
        self.kills -= kills
        for _ in range(kills):
            self.made += _killed(arguments, self.folder, self.url, self.rng.uniform(0.3, 7))
        tidegauge(*arguments, cwd=self.folder, database=self.url)

    def differences(self, *, errors: Callable[[Any], bool] = lambda _: True) -> list[str]:
        """Compare what the database holds with what was written."""
        database = Database(self.url)
        with database.read() as connection:
            [stream] = streams.select_streams(connection)
        records, free = Counter[int](), Counter[int]()
        for (_, start), pane in oracle.panes(database, stream).items():
            hour = (start - START) // HOUR
            records[hour] += pane.records
            free[hour] += int(pane.all.votes[0])
            if not errors(pane):
                records[hour] += 1_000_000
        late = sum(oracle.late(database, stream).values())
        database.close()
        found = [] if records == self.records else [f"records {records} for {self.records}"]
        found += [] if free == self.free else [f"votes {free} for {self.free}"]
        return found + ([f"late: {late}"] if late else [])


def _killed(arguments: Sequence[str], folder: Path, url: str, after_s: float) -> bool:
    """Start a command and kill it, or only its worker, some time later; False if it had ended."""
    command = [*TIDEGAUGE, *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(database=url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
        return False
    for pid in _children(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    return True


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _stream(edge: Edge, lfs: str, **changes: Any) -> None:
    (edge.folder / "my_lfs.py").write_text(f"{LFS}\nLFS = [{lfs}]\n")
    until = to_iso(START + 5_000 * HOUR)  # nothing alerts: the counts alone are compared
    baseline = {"from": to_iso(START), "until": until}
    write_stream(edge.folder, probes="my_lfs:LFS", baseline=baseline, **changes)


def changing_files(edge: Edge) -> list[str]:
    """Files come before and after others, grow, are renamed, rewritten and removed."""
    _stream(edge, "free", source={"kind": "file", "path": "day-*.jsonl"})
    write_jsonl(edge.folder / "day-2.jsonl", edge.rows(0, 400))
    write_jsonl(edge.folder / "day-3.jsonl", edge.rows(1, 400))
    edge.run("run", "stream.yaml", "--drain")
    write_jsonl(edge.folder / "day-10.jsonl", edge.rows(2, 500))
    write_jsonl(edge.folder / "day-1.jsonl", edge.rows(3, 300))
    edge.run("run", "stream.yaml", "--drain")
    with (edge.folder / "day-3.jsonl").open("ab") as file:
        file.writelines(json.dumps(row).encode() + b"\n" for row in edge.rows(4, 200))
    (edge.folder / "day-2.jsonl").rename(edge.folder / "day-0-was-2.jsonl")
    edge.run("run", "stream.yaml", "--drain")
    write_jsonl(edge.folder / "day-10.jsonl", edge.rows(5, 700))  # longer than it was
    write_jsonl(edge.folder / "day-1.jsonl", edge.rows(6, 100))  # and shorter
    (edge.folder / "day-0-was-2.jsonl").unlink()
    edge.run("run", "stream.yaml", "--drain")
    return edge.differences()


def another_source(edge: Edge) -> list[str]:
    """Another source is refused, then begun, and every record of both is counted once."""
    _stream(edge, "free", source={"kind": "file", "path": "old.jsonl"})
    write_jsonl(edge.folder / "old.jsonl", edge.rows(0, 800))
    edge.run("run", "stream.yaml", "--drain")
    _stream(edge, "free", source={"kind": "file", "path": "new-*.jsonl"})
    write_jsonl(edge.folder / "new-1.jsonl", edge.rows(1, 1_000))
    refused = tidegauge(
        "run", "stream.yaml", "--drain", cwd=edge.folder, check=False, database=edge.url
    )
    tidegauge("streams", "reset", "test", "--yes", cwd=edge.folder, database=edge.url)
    edge.run("run", "stream.yaml", "--drain")
    wrong = [] if refused.returncode == 2 else [f"not refused: {refused.returncode}"]
    return wrong + edge.differences()


def ending_lfs(edge: Edge) -> list[str]:
    """LFs that exit have failed on those records; one that kills its worker is quarantined."""
    _stream(edge, "free, exits, kills", limits={"commit_records": 200})
    rows = [*edge.rows(0, 600, ("free", "exit", "hello")), *edge.rows(1, 1, ("free kill",))]
    write_jsonl(edge.folder / "records.jsonl", [*rows, *edge.rows(2, 500)])
    edge.run("run", "stream.yaml", "--drain")
    return edge.differences(errors=lambda pane: int(pane.all.errors[1]) in {0, 200})


def history(edge: Edge) -> list[str]:
    """Files of history are counted once in a log stream, however often they are read."""
    _stream(edge, "free", source={"kind": "log", "partitions": 2})
    for n in range(3):
        write_jsonl(edge.folder / f"past-{n}.jsonl", edge.rows(n, 3_000))
    edge.run("backfill", "stream.yaml", "past-0.jsonl", "past-1.jsonl", "past-2.jsonl")
    edge.run("backfill", "stream.yaml", "past-0.jsonl", "past-1.jsonl", "past-2.jsonl")
    return edge.differences()


def clocks(edge: Edge) -> list[str]:
    """What is late follows from the records: any size of batch gives the same alerts."""
    rows = [row for hour in range(40) for row in edge.rows(hour, 30)]
    for i in edge.rng.sample(range(len(rows)), 200):
        rows[i]["timestamp"] = to_iso(START + edge.rng.randint(0, 40) * HOUR)
    write_jsonl(edge.folder / "records.jsonl", rows)
    found = []
    for size in (7, 100, 10_000):
        _stream(edge, "free", limits={"commit_records": size})
        done = tidegauge("replay", "stream.yaml", "--json", cwd=edge.folder)
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    if not found[0]["late"]:
        return ["nothing was late"]
    keys = ("records", "windows", "late", "alerts")
    told = [{key: one[key] for key in keys} for one in found]
    return [f"{one} for {told[0]}" for one in told[1:] if one != told[0]]


SCENES = (changing_files, another_source, ending_lfs, history, clocks)
SHARES = (0.5, 0.2, 0.15, 0.15, 0.0)
"""Of the kills."""


def play(kills: int, seed: int) -> dict[str, Any]:
    """Play all scenes; return what was done, and how many differences there were."""
    rng = random.Random(seed)
    told: dict[str, Any] = {"kills": 0, "records": 0, "difference": 0, "scenes": {}}
    began = time.monotonic()
    for scene, share in zip(SCENES, SHARES, strict=True):
        with tempfile.TemporaryDirectory(prefix="tidegauge-edge-") as folder:
            edge = Edge(Path(folder), rng, round(kills * share))
            found = _until_spent(scene, edge)
        told["scenes"][scene.__name__] = {"kills": edge.made, "differences": found}
        told["kills"] += edge.made
        told["records"] += edge.numbers
        told["difference"] += len(found)
    return told | {"seconds": round(time.monotonic() - began)}


def _until_spent(scene: Callable[[Edge], list[str]], edge: Edge) -> list[str]:
    """Play a scene, and again on a fresh stream while kills are left."""
    found = scene(edge)
    while edge.kills and not found:
        for path in edge.folder.iterdir():
            if path.is_file():
                path.unlink()
        fresh = Edge(edge.folder, edge.rng, edge.kills, edge.made)
        found = scene(fresh)
        edge.kills, edge.made = fresh.kills, fresh.made
        edge.numbers += fresh.numbers
    return found


def main() -> None:
    """Print what was found; the last line is a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    told = play(options.kills, options.seed)
    print(json.dumps(told))  # noqa: T201
    raise SystemExit(1 if told["difference"] else 0)


if __name__ == "__main__":
    main()
