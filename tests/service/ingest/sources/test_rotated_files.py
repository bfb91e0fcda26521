"""Files that are written, cut into, rotated and gzipped while workers die: each record once."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.file_streams import FileStream, rows
from tidegauge_service.ingest import transaction
from tidegauge_service.runtime.pipeline import Pipeline
from tidegauge_service.store.engine import Database

KEPT = 4
"""Rotated files; the oldest is removed, but never before it was read."""


class World:
    """A program that logs, a log rotation, and workers that are killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        limits = {"commit_records": 7, "batch_bytes": 900}
        self.stream = FileStream(folder, "app.jsonl*", changes={"limits": limits})
        self.log = folder / "app.jsonl"
        self.log.write_bytes(b"")
        self.written = 0
        self.pending = b""

    def write(self) -> None:
        """Log some records; the last line may reach the file only in part."""
        n = self.dice.randint(1, 12)
        lines = b"".join(json.dumps(r).encode() + b"\n" for r in rows(self.written, n))
        self.written += n
        content = self.pending + lines
        cut = len(content) - self.dice.choice([0, 0, 1, 30, 100])
        self.pending = content[cut:]
        with self.log.open("ab") as file:
            file.write(content[:cut])

    def rotate(self) -> None:
        """Move every file on by one, gzip some."""
        with self.log.open("ab") as file:
            file.write(self.pending)
        self.pending = b""
        for n in range(KEPT - 1, 0, -1):
            for end in ("", ".gz"):
                old = self.log.with_name(f"app.jsonl.{n}{end}")
                if old.exists():
                    old.replace(self.log.with_name(f"app.jsonl.{n + 1}{end}"))
        self.log.replace(self.log.with_name("app.jsonl.1"))
        second = self.log.with_name("app.jsonl.2")
        if second.exists() and self.dice.random() < 0.5:
            second.with_name("app.jsonl.2.gz").write_bytes(gzip.compress(second.read_bytes()))
            second.unlink()
        self.log.write_bytes(b"")

    def read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Read on; the process may die before a commit, or just after it."""
        dies = self.dice.choice([None, None, "before", "after"])
        with monkeypatch.context() as patched:
            if dies:
                patched.setattr(transaction, "commit", self._deadly(transaction.commit, dies))
            database = self.stream.database()
            pipeline: Pipeline | None = None
            try:
                pipeline = self.stream.open(database)
                pipeline.run_to_end(lambda _progress: None)
            except _KilledError:
                pass
            finally:
                _end(pipeline, database)

    def _deadly(self, real: object, when: str) -> object:
        left = iter(range(self.dice.randint(1, 4), -1, -1))

        def deadly(*args: object, **more: object) -> object:
            last = next(left) == 0
            if last and when == "before":
                raise _KilledError
            found = real(*args, **more)  # type: ignore[operator]
            if last:
                raise _KilledError
            return found

        return deadly


class _KilledError(BaseException):
    pass


def _end(pipeline: Pipeline | None, database: Database) -> None:
    if pipeline is not None:
        pipeline.close()
    database.close()


def steps(world: World, n: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for _ in range(n):
        what = world.dice.choice(["write", "write", "read", "read", "rotate"])
        if what == "write":
            world.write()
        elif what == "read":
            world.read(monkeypatch)
        elif not world.log.with_name(f"app.jsonl.{KEPT - 1}").exists() and not (
            world.log.with_name(f"app.jsonl.{KEPT - 1}.gz").exists()
        ):
            world.rotate()
        yield what


@pytest.mark.parametrize("seed", [*range(6), 51, 52, 53, 58])
def test_each_record_is_counted_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, seed)
    assert {"write", "read", "rotate"} <= set(steps(world, 24, monkeypatch))
    with world.log.open("ab") as file:
        file.write(world.pending)
    world.stream.drain()
    assert world.stream.ids() == [f"r{n}" for n in range(world.written)]
    assert world.stream.counted() == world.written
    assert (world.stream.dead(), world.stream.late(), world.stream.gaps()) == ([], 0, [])
