"""Exactness at the edge: changing files, other sources, deadly LFs, history, clocks that go back.

    python -m tests.crash.edges --kills 60 --seed 1

Processes are killed at random moments until the work is done. What the database holds is then
compared with counts made by `edge_stage`, record by record, from what was written.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.crash.edge_stage import TOKEN, Oracle, Partition, Row, Stage, jsonl
from tests.e2e.running import last_json, started
from tests.servers.ports import free_port


@dataclass
class Outcome:
    """What one scene came to."""

    records: int
    late: int
    gaps: int


DRAIN = ("run", "stream.yaml", "--drain", "--no-api")

# -- Files that change -----------------------------------------------------------------------


@dataclass
class File:
    """A file as it was written, and the place where it is read to."""

    rows: list[Row]
    at: Partition = field(default_factory=Partition)
    cut: Row | None = None
    """A row whose line is only half written."""
    twin: bool = False
    """Was it copied? If one of two twins goes while another comes, nobody can tell which."""


class Folder:
    """Files that come, grow, move and go."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.oracle = stage, Oracle()
        self.files: dict[str, File] = {}
        self.gaps: list[tuple[str, int]] = []
        self.changes = [self.new, self.grow, self.grow, self.rotate, self.rewrite]
        self.changes += [self.cut, self.fork, self.stub, self.remove, self.copy]
        self.used: set[int] = set()

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self.stage.folder / name

    def put(self, name: str, file: File) -> None:
        """Write a file that nobody has read."""
        self.files[name] = file
        self.path(name).write_bytes(jsonl(file.rows))
        self.oracle.take(file.rows, file.at)

    def fit(self, *, single: bool = True) -> list[str]:
        """Return the files that may change."""
        plain = [n for n in self.files if n.endswith("jsonl")]
        return sorted(n for n in plain if not (single and self.files[n].twin))

    def any(self, *, single: bool = True) -> str:
        """Choose a file that may change."""
        return self.stage.random.choice(self.fit(single=single))

    def new(self) -> None:
        """Add a file whose name sorts anywhere."""
        number = self.stage.random.choice(sorted(set(range(11, 200)) - self.used))
        self.used.add(number)
        self.put(
            f"day-{number}.jsonl",
            File(self.stage.rows(self.stage.random.randrange(50, 250), back=0.03)),
        )

    def grow(self) -> None:
        """Append rows, the last one now and then without its second half."""
        name = self.any(single=False)
        file, more = self.files[name], self.stage.rows(120, back=0.03)
        half = self.stage.rows(1)[0] if self.stage.random.random() < 0.5 else None
        ended = [file.cut] if file.cut else []
        lines = jsonl(ended)[20:] + jsonl(more) + (jsonl([half])[:20] if half else b"")
        with self.path(name).open("ab") as opened:
            opened.write(lines)
        file.cut = half
        file.rows += ended + more
        self.oracle.take(ended + more, file.at)

    def rotate(self) -> None:
        """Give a file another name, packed or not, and its name to new rows."""
        name = self.any(single=False)
        file = self.files[name]
        if file.cut:
            return
        packed = self.stage.random.random() < 0.5
        turned = f"{name}.{len(self.files)}{self.stage.ids}" + (".gz" if packed else "")
        content = self.path(name).read_bytes()
        self.path(turned).write_bytes(gzip.compress(content) if packed else content)
        self.path(name).unlink()
        self.files[turned] = self.files.pop(name)
        if self.stage.random.random() < 0.7:
            self.put(name, File(self.stage.rows(80)))

    def rewrite(self) -> None:
        """Write other rows under the name of a file that was read, with its beginning or not."""
        old = self.files[name := self.any()].rows
        kept = old[: len(old) // 3] if self.stage.random.random() < 0.5 else []
        more = self.stage.rows(
            min(250, self.stage.random.choice([len(old) // 3 + 1, len(old) + 9]))
        )
        self._anew(name, [*kept, *more])

    def cut(self) -> None:
        """Cut a file: what is left of it is read again, and is late."""
        rows = self.files[name := self.any()].rows
        self._anew(name, rows[: len(rows) // 2])

    def _anew(self, name: str, rows: list[Row]) -> None:
        old = self.files[name].rows
        if old:
            shorter = len(jsonl(rows)) < len(jsonl(old))
            self.gaps.append(("truncated" if shorter else "rewritten", len(old)))
        self.put(name, File(rows))

    def remove(self) -> None:
        """Take a file away that was read to its end."""
        name = self.any()
        if len(self.files) > 3 and not self.files[name].cut:
            self.path(name).unlink()
            del self.files[name]

    def copy(self) -> None:
        """Copy a file: the copy is other rows, and its windows are closed."""
        name = self.any()
        if not self.files[name].cut:
            self.files[name].twin = True
            self.put(f"day-{self.stage.ids}00.jsonl", File(list(self.files[name].rows), twin=True))

    def fork(self) -> None:
        """Let a file go on under two other names: one is the file, the other is a copy."""
        file = self.files[name := self.any()]
        if not file.cut:
            turned = f"day-{self.stage.ids}01.jsonl"
            self.path(name).rename(self.path(turned))
            self.files[turned] = self.files.pop(name)
            file.twin = True
            self.put(f"day-{self.stage.ids}02.jsonl", File(list(file.rows), twin=True))

    def stub(self) -> None:
        """Add a file that has half a line so far."""
        self.put(name := f"day-{self.stage.ids}03.jsonl", File([]))
        [half] = self.stage.rows(1)
        self.files[name].cut = half
        self.path(name).write_bytes(jsonl([half])[:20])

    def change(self) -> None:
        """Change some files, each once, and read all."""
        self.stage.later()
        before = {n: (f, len(f.rows)) for n, f in self.files.items()}
        for change in self.stage.random.sample(self.changes, 4):
            # What was appended, and replaced before anybody read it, has never been there.
            hidden = {n: f for n, f in self.files.items() if before.get(n) != (f, len(f.rows))}
            for name in hidden:
                del self.files[name]
            if self.fit():
                change()
            self.files |= hidden
        self.new()
        self.stage.finish(*DRAIN, most=2)
        self.oracle.drained()

    def tear(self) -> None:
        """Write other rows over a file that was read to somewhere when its reader was killed."""
        self.stage.later()
        old, at = self.stage.rows(400), Partition()
        self.path("day-0.jsonl").write_bytes(jsonl(old))
        before = len(self.stage.gaps())
        self._read_some()
        self.stage.later()
        again = File(self.stage.rows(500))
        self.path("day-0.jsonl").write_bytes(jsonl(again.rows))
        self.stage.finish(*DRAIN)
        found = self.stage.gaps()[before:]
        read = sum(gap["from_offset"] for gap in found)
        self.gaps += [("rewritten", read)] * len(found)
        assert len(found) == bool(read)
        self.oracle.take(old[:read], at)
        self.put("day-0.jsonl", again)
        self.oracle.drained()

    def _read_some(self) -> None:
        process = started(*DRAIN, cwd=self.stage.folder, log=self.stage.log, **self.stage.settings)
        time.sleep(self.stage.random.uniform(2.2, 3.2))
        self.stage.kill_all(process)
        process.wait()


def files(stage: Stage) -> Outcome:
    """Change files between runs until all kills are made."""
    stage.write_stream({"kind": "file", "path": "day-*.jsonl*"})
    folder = Folder(stage)
    for name in ("day-2.jsonl", "day-10.jsonl", "day-9.jsonl"):
        folder.put(name, File(stage.rows(150)))
    stage.finish(*DRAIN)
    folder.oracle.drained()
    if stage.left > 2:
        folder.tear()
    while stage.left:
        folder.change()
        stage.compare(folder.oracle)
    found = Counter((gap["cause"], gap["from_offset"]) for gap in stage.gaps())
    if found != Counter(folder.gaps):
        stage.faults.append(f"gaps are {found}, not {folder.gaps}")
    return Outcome(folder.oracle.records, folder.oracle.late, len(folder.gaps))


# -- Another source --------------------------------------------------------------------------


def _refused(stage: Stage) -> None:
    """See another source refused, until the stream is reset, however often that is killed."""
    stage.ask(*DRAIN, code=2)
    reset = ("streams", "reset", stage.name)
    stage.ask(*reset, code=0)  # says what it would do
    stage.finish(*reset, "--yes", most=1)


def _post(stage: Stage, rows: Sequence[Row]) -> None:
    """Post rows to a server that is killed meanwhile, each request until it is answered."""
    port = free_port()
    command = ("run", "stream.yaml", "--port", str(port))
    process = started(*command, cwd=stage.folder, log=stage.log, **stage.settings)
    for n in range(0, len(rows), 50):
        while not _taken(port, stage.name, rows[n : n + 50], f"{rows[n]['id']}"):
            time.sleep(0.1)
            if process.poll() is not None:
                process = started(*command, cwd=stage.folder, log=stage.log, **stage.settings)
        if stage.left and n % 200 == 150:
            stage.kill_all(process)
            process.wait()
    process.terminate()
    process.wait(timeout=60)


def _taken(port: int, name: str, rows: Sequence[Row], key: str) -> bool:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
    url = f"http://127.0.0.1:{port}/api/v1/streams/{name}/events"
    try:
        return httpx2.post(url, json=list(rows), headers=headers).status_code == 202
    except httpx2.TransportError:
        return False


def another_source(stage: Stage) -> Outcome:
    """Go from files to other files, to events, and back to the first files."""
    oracle, rows = Oracle(), {name: stage.rows(300, back=0.02) for name in "a"}
    _drain_files(stage, oracle, "a", rows["a"])
    stage.later()
    rows["b"] = stage.rows(300, back=0.02)
    stage.write_stream({"kind": "file", "path": "b-*.jsonl"})
    (stage.folder / "b-1.jsonl").write_bytes(jsonl(rows["b"]))
    _refused(stage)
    _drain_files(stage, oracle, "b", rows["b"])
    stage.later()
    events = stage.rows(400)
    stage.write_stream({"kind": "log", "partitions": 1, "idle_grace": "20000d"})
    _refused(stage)
    _post(stage, events)
    stage.finish(*DRAIN)
    oracle.take(events, Partition())
    oracle.drained()
    stage.compare(oracle)
    stage.write_stream({"kind": "file", "path": "a-*.jsonl"})
    _refused(stage)
    _drain_files(stage, oracle, "a", rows["a"])
    return Outcome(oracle.records, oracle.late, 0)


def _drain_files(stage: Stage, oracle: Oracle, name: str, rows: Sequence[Row]) -> None:
    stage.write_stream({"kind": "file", "path": f"{name}-*.jsonl"})
    (stage.folder / f"{name}-1.jsonl").write_bytes(jsonl(rows))
    stage.finish(*DRAIN, most=6)
    oracle.take(rows, Partition())
    oracle.drained()
    stage.compare(oracle)


# -- LFs that end the worker -----------------------------------------------------------------


def deadly_lfs(stage: Stage) -> Outcome:
    """Let an LF end its process on one record, in the one way and the other."""
    found = [_deadly(stage, how) for how in ("exit", "kill")]
    return Outcome(sum(o.records for o in found), sum(o.late for o in found), 0)


def _deadly(whole: Stage, how: str) -> Oracle:
    stage = Stage(whole.folder / how, whole.random, whole.left // (2 if how == "exit" else 1))
    stage.write_stream({"kind": "file", "path": "*.jsonl"})
    rows, place = stage.rows(600), stage.random.randrange(200, 400)
    rows[place]["text"] = f"{how} and more words"
    (stage.folder / "records.jsonl").write_bytes(jsonl(rows))
    stage.finish(*DRAIN, most=9)
    oracle = _quarantined(stage, rows, place)
    stage.compare(oracle)
    whole.left, whole.made = whole.left - stage.made, whole.made + stage.made
    whole.faults += stage.faults
    return oracle


def _quarantined(stage: Stage, rows: Sequence[Row], place: int) -> Oracle:
    """Return the counts if the LF fails on every record from some batch's first on."""
    failed = sum(n for (_, what), n in stage.found().items() if what == "deadly error")
    first = len(rows) - failed
    if not place - 40 < first <= place:
        stage.faults.append(f"the LF fails from record {first} on, and dies on {place}")
    oracle, partition = Oracle(), Partition()
    oracle.take(rows[:first], partition)
    oracle.take(rows[first:], partition, quarantined=True)
    return oracle


# -- History ---------------------------------------------------------------------------------


def history(stage: Stage) -> Outcome:
    """Read overlapping files of history, under other names the second time."""
    stage.write_stream({"kind": "log", "partitions": 2}, commit_records=10)
    oracle, parts = Oracle(), ["a.jsonl", "b.jsonl.gz", "c.csv", "d.jsonl"]
    for name in parts:
        rows = sorted(stage.rows(500), key=lambda row: row["timestamp"])
        _write_history(stage.folder / name, rows)
        oracle.take(rows, Partition())
    stage.finish("backfill", "stream.yaml", *parts[:2], most=stage.left // 2)
    stage.finish("backfill", "stream.yaml", *parts, most=stage.left // 2)
    while stage.left:
        parts.append(name := f"more-{len(parts)}.jsonl")
        rows = sorted(stage.rows(500), key=lambda row: row["timestamp"])
        _write_history(stage.folder / name, rows)
        oracle.take(rows, Partition())
        stage.finish("backfill", "stream.yaml", *parts)
    (stage.folder / "a.jsonl").rename(stage.folder / "renamed.jsonl")
    stage.finish("backfill", "stream.yaml", "renamed.jsonl", *parts[1:])
    stage.compare(oracle)
    stage.finish(*DRAIN)
    stage.compare(oracle)
    return Outcome(oracle.records, oracle.late, 0)


def _write_history(path: Path, rows: Sequence[Row]) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, ["id", "timestamp", "text"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        content = jsonl(rows)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


# -- Clocks that go back ---------------------------------------------------------------------


def clocks(stage: Stage) -> Outcome:
    """Replay records out of order with commits of several sizes."""
    oracle, told = Oracle(), []
    parts = {f"t-{n}.jsonl": stage.rows(900, back=0.1) for n in (1, 2)}
    for size in (7, 100, 10_000):
        stage.write_stream({"kind": "file", "path": "t-*.jsonl"}, commit_records=size)
        for name, rows in parts.items():
            (stage.folder / name).write_bytes(jsonl(rows))
        told.append(_replayed(stage, size))
    for rows in parts.values():
        oracle.take(rows, Partition())
    for size in (7, 100, 10_000):
        stage.compare(oracle, f"replay-{size}.db")
    if not told[0] == told[1] == told[2]:
        stage.faults.append(f"replays differ: {told}")
    return Outcome(oracle.records, oracle.late, 0)


def _replayed(stage: Stage, size: int) -> Row:
    url = f"sqlite:///{stage.folder}/replay-{size}.db"
    done = stage.ask("replay", "stream.yaml", "--json", "--database", url)
    timed = {"seconds", "records_per_second"}
    return {key: value for key, value in last_json(done.stdout).items() if key not in timed}


# -- All of it -------------------------------------------------------------------------------

SCENES: dict[str, tuple[Callable[[Stage], Outcome], float]] = {
    "files": (files, 0.4),
    "source": (another_source, 0.25),
    "lfs": (deadly_lfs, 0.15),
    "history": (history, 0.2),
    "clocks": (clocks, 0),
}
"""Each scene, and its share of the kills."""


def play(folder: Path, *, kills: int, seed: int, only: Sequence[str] = ()) -> Row:
    """Play scenes, two at a time; return the result."""
    result: Row = {"kills": {}, "records": {}, "late": {}, "gaps": {}, "difference": 0}
    stages = {
        name: Stage(folder / name, random.Random(f"{seed} {name}"), round(kills * share))
        for name, (_, share) in SCENES.items()
        if name in (only or SCENES)
    }
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda name: SCENES[name][0](stages[name]), stages))
    for (name, stage), outcome in zip(stages.items(), outcomes, strict=True):
        for what in ("records", "late", "gaps"):
            result[what][name] = getattr(outcome, what)
        result["kills"][name] = stage.made
        result["difference"] += len(stage.faults)
        print(name, outcome, *stage.faults[:20], sep="\n  ", file=sys.stderr)  # noqa: T201
    return result


def main() -> None:
    """Play all scenes in a folder that goes when they were exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=SCENES, action="append", default=[])
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = play(Path(folder), kills=given.kills, seed=given.seed, only=given.only)
    print(json.dumps(result | {"seconds": round(time.monotonic() - began)}))  # noqa: T201
    raise SystemExit(bool(result["difference"]))


if __name__ == "__main__":
    main()
