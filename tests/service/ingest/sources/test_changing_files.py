from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.service.file_streams import FileStream, jsonl, rows
from tests.service.transactions import read, write
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import StreamHalted
from tidegauge_service.ingest.sources.files.registration import CONTINUE
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import decisions


@pytest.fixture
def stream(tmp_path: Path) -> FileStream:
    return FileStream(tmp_path)


def test_a_file_that_sorts_between_others_is_read_and_they_stay_where_they_are(
    stream: FileStream,
) -> None:
    stream.put("day-2.jsonl", rows(0, 40))
    stream.put("day-3.jsonl", rows(40, 40))
    stream.drain()
    assert (stream.counted(), stream.late()) == (80, 0)
    stream.put("day-10.jsonl", rows(80, 50))  # "day-10" < "day-2" as texts
    stream.put("day-1.jsonl", rows(0, 5))
    stream.drain()
    assert stream.positions() == {0: 40, 1: 40, 2: 5, 3: 50}
    assert (stream.counted(), stream.late()) == (135, 5), "day-1 belongs to closed windows"
    assert stream.gaps() == []


def test_files_are_read_in_the_natural_order_of_their_names(stream: FileStream) -> None:
    for n in (10, 9, 2, 1):
        stream.put(f"day-{n}.jsonl", rows(n * 100, 3))
    stream.drain()
    database = stream.database()
    source = stream.open(database)
    assert [f.name for f in source.worker._source.files] == [  # type: ignore[attr-defined]
        "day-1.jsonl",
        "day-2.jsonl",
        "day-9.jsonl",
        "day-10.jsonl",
    ]
    source.close()
    database.close()


def test_an_old_file_that_is_removed_changes_nothing(stream: FileStream) -> None:
    for n in range(1, 4):
        stream.put(f"day-{n}.jsonl", rows(n * 60, 60))
    stream.drain()
    (stream.folder / "day-1.jsonl").unlink()
    stream.put("day-4.jsonl", rows(240, 60))
    stream.drain()
    assert stream.positions() == {0: 60, 1: 60, 2: 60, 3: 60}
    assert (stream.counted(), stream.late(), stream.gaps()) == (240, 0, [])
    (stream.folder / "day-2.jsonl").unlink()
    (stream.folder / "day-3.jsonl").unlink()
    stream.put("day-1.jsonl", rows(60, 60))
    stream.drain()
    assert stream.counted() == 240, "day-1 is back as it was: it was counted"


@pytest.mark.parametrize("first", ["day-1.jsonl", "day-1.jsonl.gz", "day-1.csv", "day-1.json"])
def test_a_file_that_grows_is_read_on(tmp_path: Path, first: str) -> None:
    stream = FileStream(tmp_path, "day-1.*")
    records = rows(0, 100)

    def content(n: int) -> bytes:
        if first.endswith(".csv"):
            lines = [",".join(map(str, r.values())) + "\n" for r in records[:n]]
            return ("id,timestamp,text\n" + "".join(lines)).encode()
        if first.endswith(".json"):
            return json.dumps(records[:n], indent=1).encode()
        return jsonl(records[:n])

    for n in (10, 10, 11, 70, 100):
        stream.put(first, content(n))
        stream.drain()
        assert stream.positions() == {0: n}
        assert stream.ids() == [f"r{i}" for i in range(n)]
    assert stream.gaps() == []


def test_a_short_file_that_grows_is_known_by_what_it_held(stream: FileStream) -> None:
    stream.put("day-1.jsonl", b"")
    stream.put("day-2.jsonl", jsonl(rows(60, 1)))
    stream.drain()
    stream.put("day-1.jsonl", rows(0, 3))
    stream.append("day-2.jsonl", jsonl(rows(61, 1)))
    stream.drain()
    assert (stream.positions(), stream.counted()) == ({0: 3, 1: 2}, 5)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_whole_last_line_without_an_end_is_counted_once(stream: FileStream, end: bytes) -> None:
    stream.put("day-1.jsonl", jsonl(rows(0, 3)).rstrip(b"\n"))
    stream.drain()
    assert stream.positions() == {0: 3}
    stream.append("day-1.jsonl", end + (jsonl(rows(3, 2)) if end else b""))
    stream.drain()
    assert stream.counted() == (5 if end else 3)
    assert stream.dead() == []


def test_a_last_line_that_is_being_written_is_read_when_it_is_finished(stream: FileStream) -> None:
    whole = jsonl(rows(0, 4))
    for cut in (len(whole) - 5, len(whole) - 40, len(whole) - 100):
        stream.put("day-1.jsonl", whole[:cut])
        stream.drain()
        assert stream.dead() == []
        stream.put("day-1.jsonl", whole)
        stream.drain()
        assert (stream.counted(), stream.dead(), stream.gaps()) == (4, [], [])
        for suffix in ("", "-wal", "-shm"):
            (stream.folder / f"test.db{suffix}").unlink(missing_ok=True)


def test_a_gzipped_file_is_finished_so_its_broken_end_is_a_dead_letter(stream: FileStream) -> None:
    stream.put("day-1.jsonl.gz", jsonl(rows(0, 3))[:-10])
    stream.drain()
    assert [reason for reason, _ in stream.dead()] == ["not_json"]


@pytest.mark.parametrize("zipped", [False, True])
def test_rotation_moves_files_on_and_reads_none_twice(stream: FileStream, zipped: bool) -> None:  # noqa: FBT001
    """events.log → .1 → .2 (or .2.gz), while more was written before each turn."""
    stream.pattern = "events.jsonl*"
    stream.put("events.jsonl", rows(0, 20))
    stream.drain()
    stream.append("events.jsonl", jsonl(rows(20, 5)))  # not read yet when it is rotated
    (stream.folder / "events.jsonl").replace(stream.folder / "events.jsonl.1")
    stream.put("events.jsonl", rows(25, 10))
    stream.drain()
    assert stream.positions() == {0: 25, 1: 10}
    first = (stream.folder / "events.jsonl.1").read_bytes()
    if zipped:
        (stream.folder / "events.jsonl.2.gz").write_bytes(gzip.compress(first))
        (stream.folder / "events.jsonl.1").unlink()
    else:
        (stream.folder / "events.jsonl.1").replace(stream.folder / "events.jsonl.2")
    (stream.folder / "events.jsonl").replace(stream.folder / "events.jsonl.1")
    stream.put("events.jsonl", rows(35, 10))
    stream.drain()
    assert stream.positions() == {0: 25, 1: 10, 2: 10}
    assert stream.ids() == [f"r{n}" for n in range(45)]
    assert stream.gaps() == []


def test_copy_and_truncate_is_a_rotation_too(stream: FileStream) -> None:
    stream.pattern = "events.jsonl*"
    stream.put("events.jsonl", rows(0, 20))
    stream.drain()
    shutil.copy(stream.folder / "events.jsonl", stream.folder / "events.jsonl.1")
    stream.put("events.jsonl", b"")
    stream.drain()
    stream.append("events.jsonl", jsonl(rows(20, 3)))
    stream.drain()
    assert (stream.ids(), stream.gaps()) == ([f"r{n}" for n in range(23)], [])


REWRITTEN = {
    "longer": (rows(100, 90), "rewritten"),
    "shorter": (rows(100, 5), "truncated"),
    "as long": (rows(100, 40), "rewritten"),
    "the same beginning": ([*rows(0, 30), *rows(100, 10)], "rewritten"),
    "cut": (rows(0, 30), "truncated"),
    "emptied": ([], "truncated"),
}


@pytest.mark.parametrize("how", REWRITTEN)
@pytest.mark.parametrize("name", ["day-1.jsonl", "day-1.jsonl.gz"])
def test_a_file_that_was_rewritten_is_a_gap_and_read_from_its_start(
    stream: FileStream, how: str, name: str
) -> None:
    content, cause = REWRITTEN[how]
    stream.put(name, rows(0, 40))
    stream.put("day-2.jsonl", rows(200, 10))
    stream.drain()
    stream.put(name, content)
    stream.drain()
    assert stream.positions() == {0: 40, 1: 10, 2: len(content)}
    assert stream.counted() == 50 + len(content)
    assert stream.gaps() == [(0, cause, 40, 0, CONTINUE)]
    stream.drain()
    assert (len(stream.gaps()), stream.counted()) == (1, 50 + len(content)), "told once"


def test_a_file_rewritten_before_anything_of_it_was_read_is_just_read(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 4))
    database = stream.database()
    stream.open(database).close()
    database.close()
    stream.put("day-1.jsonl", rows(100, 7))
    stream.drain()
    assert (stream.positions(), stream.gaps()) == ({0: 7}, [])


def test_a_file_removed_before_its_end_was_read_is_a_gap_and_holds_nothing(
    stream: FileStream,
) -> None:
    stream.put("day-1.jsonl", rows(0, 400))
    stream.put("day-2.jsonl", rows(400, 200))
    stream.changes = {"limits": {"commit_records": 100}, "alerts": {"receivers": []}}
    database = stream.database()
    pipeline = stream.open(database)
    while stream.positions()[0] < 100:
        pipeline.step(finite=True)
    pipeline.close()
    database.close()
    (stream.folder / "day-1.jsonl").unlink()
    stream.drain()
    assert stream.gaps() == [(0, "removed", 100, 0, CONTINUE)]
    assert stream.positions() == {0: 100, 1: 200}


def test_halt_reads_nothing_until_somebody_accepts_the_new_content(stream: FileStream) -> None:
    stream.source = {"on_gap": "halt"}
    stream.put("day-1.jsonl", rows(0, 40))
    stream.put("day-2.jsonl", rows(50, 10))
    stream.drain()
    stream.put("day-1.jsonl", rows(100, 7))
    stream.put("day-2.jsonl", rows(200, 7))
    for _ in range(2):
        with pytest.raises(StreamHalted, match=r"day-1.jsonl' was cut after 40.*accept-gap"):
            stream.drain()
    assert stream.positions() == {0: 40, 1: 10}
    database = stream.database()
    row = read(database, streams.find, "test")
    assert row is not None
    assert len(write(database, decisions.accept, row, 0, "ops", 1)) == 1
    database.close()
    with pytest.raises(StreamHalted, match=r"day-2\.jsonl"):
        stream.drain()
    database = stream.database()
    write(database, decisions.accept, row, None, "ops", 1)
    database.close()
    stream.drain()
    assert stream.positions() == {0: 40, 1: 10, 2: 7, 3: 7}
    assert [(gap[1], gap[4]) for gap in stream.gaps()] == [("truncated", "ops")] * 2


def test_a_parquet_file_that_was_written_anew_is_new(tmp_path: Path) -> None:
    stream = FileStream(tmp_path, "*.parquet")
    pq.write_table(pa.Table.from_pylist(rows(0, 20)), tmp_path / "a.parquet")
    stream.drain()
    (tmp_path / "a.parquet").replace(tmp_path / "b.parquet")
    pq.write_table(pa.Table.from_pylist(rows(20, 20)), tmp_path / "a.parquet")
    stream.drain()
    assert (stream.positions(), stream.gaps()) == ({0: 20, 1: 20}, [])
    pq.write_table(pa.Table.from_pylist(rows(40, 20)), tmp_path / "b.parquet")
    stream.drain()
    assert stream.positions() == {0: 20, 1: 20, 2: 20}
    assert [gap[1] for gap in stream.gaps()] == ["rewritten"]


def test_a_copy_is_a_file_of_its_own(stream: FileStream) -> None:
    stream.put("day-1.jsonl", rows(0, 20))
    stream.drain()
    shutil.copy(stream.folder / "day-1.jsonl", stream.folder / "day-2.jsonl")
    stream.drain()
    assert stream.positions() == {0: 20, 1: 20}


def test_files_with_the_same_beginning_are_told_apart(stream: FileStream) -> None:
    header = b"\n" * 2_000  # longer than what a file is known by
    stream.put("day-1.jsonl", header + jsonl(rows(0, 20)))
    stream.drain()
    (stream.folder / "day-1.jsonl").unlink()
    stream.put("day-2.jsonl", header + jsonl(rows(20, 20)))
    stream.drain()
    assert stream.ids() == [f"r{n}" for n in range(40)]


def test_receivers_are_told_of_a_rewritten_file(stream: FileStream) -> None:
    stream.changes = {"alerts": {"receivers": ["ops"]}}
    stream.settings = Settings(receivers={"ops": {"kind": "log"}}, url="https://gauge.example")
    stream.put("day-1.jsonl", rows(0, 4))
    stream.drain()
    stream.put("day-1.jsonl", rows(9, 8))
    stream.drain()
    told = [m for m in stream.messages() if m["event"] == "data_gap"]
    assert [(m["status"], m["partition"]) for m in told] == [("firing", 0), ("resolved", 0)]
    assert "file 'day-1.jsonl' was rewritten after 4 of its rows" in told[0]["headline"]
    assert [m["links"] for m in told] == [{"page": "https://gauge.example/"}] * 2
