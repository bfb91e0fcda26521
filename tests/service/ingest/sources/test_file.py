from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.service.streams_for_tests import START, reading, record
from tests.service.transactions import write
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest import commit

LINES = [b'{"id": "a"}', b'{"id": "b"}', b'{"id": "c"}']


def read_all(source: FileReader, at_once: int = 100) -> list[Raw]:
    """Read to the end; the first poll announces the partitions."""
    announced = source.poll(at_once, 0)
    assert announced.gained == source.beginnings().keys()
    assert not announced.inputs
    found: list[Raw] = []
    while inputs := source.poll(at_once, 0).inputs:
        assert len(inputs) <= at_once
        found += inputs
    return found


def values(path: Path) -> list[Any]:
    return [raw.value for raw in read_all(FileReader(path.name, path.parent))]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", ["r.jsonl", "r.ndjson", "r.json", "r.JSONL", "2020.05.jsonl"])
def test_jsonl_gives_its_lines_as_bytes(tmp_path: Path, name: str, ending: bytes) -> None:
    (tmp_path / name).write_bytes(ending.join(LINES))
    assert values(tmp_path / name) == LINES


def test_broken_lines_come_through_for_the_codec_to_judge(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'\xff\n{"a"\n')
    assert values(tmp_path / "r.jsonl") == [b"\xff", b'{"a"']


@pytest.mark.parametrize("blank", [b"", b"\r", b"  \t"])
def test_blank_lines_take_an_offset_and_are_no_inputs(tmp_path: Path, blank: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\n".join([blank, LINES[0], blank, blank, LINES[1], blank]))
    source = FileReader("r.jsonl", tmp_path)
    assert [(raw.offset, raw.value) for raw in read_all(source)] == [(1, LINES[0]), (4, LINES[1])]
    assert source.ends([0]) == {0: 5 + bool(blank)}


def test_gzip_is_read_as_what_it_holds(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "r.jsonl.gz", "wb") as file:
        file.write(b"\n".join(LINES))
    with gzip.open(tmp_path / "r.csv.gz", "wb") as file:
        file.write(b"id\na\n")
    assert values(tmp_path / "r.jsonl.gz") == LINES
    assert values(tmp_path / "r.csv.gz") == [{"id": "a"}]


def test_csv_rows_are_fields(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(
        b"\xef\xbb\xbfid,text\r\n"  # Excel's byte-order mark is not part of the first name
        b'a,"free, ""now""\nand here"\r\n'
        b"\r\n"
        b"d,\r\n"
    )
    assert values(tmp_path / "r.csv") == [
        {"id": "a", "text": 'free, "now"\nand here'},
        {"id": "d", "text": ""},
    ]


def test_a_csv_field_may_be_as_long_as_a_record(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(f"id,text\na,{'x' * 500_000}\n")
    assert [len(value["text"]) for value in values(tmp_path / "r.csv")] == [500_000]


def test_parquet_rows_are_fields_with_their_types(tmp_path: Path) -> None:
    moment = datetime(2020, 3, 15, 11, tzinfo=UTC)
    table = pa.table(
        {"id": ["a", "b"], "timestamp": [moment, None], "n": [1, None], "deep": [{"x": 1}, None]}
    )
    pq.write_table(table, tmp_path / "r.parquet")
    assert values(tmp_path / "r.parquet") == [
        {"id": "a", "timestamp": moment, "n": 1, "deep": {"x": 1}},
        {"id": "b", "timestamp": None, "n": None, "deep": None},
    ]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_files_of_a_glob_are_partitions_in_the_order_of_their_names(
    tmp_path: Path, at_once: int
) -> None:
    for name, lines in {"b": LINES[:1], "a": LINES[1:], "c": [], "d": LINES[:1]}.items():
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(lines))
    (tmp_path / "not.csv").write_text("id\nz\n")
    source = FileReader("*.jsonl", tmp_path)
    assert source.beginnings() == {0: 0, 1: 0, 2: 0, 3: 0}
    found = [(raw.partition, raw.offset, raw.value) for raw in read_all(source, at_once)]
    assert found == [(0, 0, LINES[1]), (0, 1, LINES[2]), (1, 0, LINES[0]), (3, 0, LINES[0])]
    assert source.ends([0, 1, 2, 3]) == {0: 2, 1: 1, 2: 0, 3: 1}


def test_the_end_of_a_file_is_unknown_until_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(LINES))
    source = FileReader("r.jsonl", tmp_path)
    source.poll(10, 0)
    assert source.ends([0]) == {}
    assert len(source.poll(3, 0).inputs) == 3
    assert source.ends([0]) == {}
    assert not source.poll(3, 0).inputs
    assert source.ends([0]) == {0: 3}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_seek_continues_at_a_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    rows = [{"id": f"r{n}"} for n in range(10)]
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == "csv":
        path.write_text("id\n" + "".join(f"{row['id']}\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    source = FileReader(path.name, tmp_path)
    whole = read_all(source)
    assert [raw.offset for raw in whole] == list(range(10))
    for start in (0, 7, 10):
        source.seek(0, start)
        assert source.ends([0]) == {}
        assert list(source.poll(100, 0).inputs) == whole[start:]
    assert not source.poll(100, 0).inputs
    assert source.ends([0]) == {0: 10}


def test_a_truncated_gzip_is_an_error_however_often_it_is_asked(tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join(b'{"id": "%d"}' % n for n in range(20_000)))
    (tmp_path / "r.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    source = FileReader("r.jsonl.gz", tmp_path)
    source.poll(1, 0)
    with pytest.raises(SourceError, match=r"cannot read .*r\.jsonl\.gz"):
        while source.poll(1_000, 0).inputs:
            pass
    with pytest.raises(SourceError):
        source.poll(100_000, 0)
    assert source.ends([0]) == {}, "a file that broke off was not read to its end"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.jsonl.gz", b"not gzip"),
        ("r.parquet", b"not parquet"),
        ("r.parquet", b""),
        ("r.csv", b"i\xe9d,text\na,b\n"),
        ("r.csv", b"\xff\xfei\x00d\x00"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_an_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    source = FileReader(name, tmp_path)
    source.poll(1, 0)
    with pytest.raises(SourceError, match=f"cannot read .*{name}: ."):
        source.poll(10, 0)


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(LINES))
    source = FileReader("r.jsonl", tmp_path)
    (tmp_path / "r.jsonl").unlink()
    source.poll(1, 0)
    with pytest.raises(SourceError, match="No such file"):
        source.poll(1, 0)


@pytest.mark.parametrize("name", ["r.txt", "r", "r.gz", "r.jsonl.bak", "r.xlsx"])
def test_an_unknown_suffix_says_which_are_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceError, match=r"rename it to \.jsonl, \.csv or \.parquet"):
        FileReader(name, tmp_path)


def test_no_match_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.path") as caught:
        FileReader("*.jsonl", tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("folder", ["[prod]", "what?", "all*"])
def test_the_folder_of_the_stream_file_is_no_pattern(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "r.jsonl").write_bytes(LINES[0])
    assert [raw.value for raw in read_all(FileReader("*.jsonl", tmp_path / folder))] == LINES[:1]


def test_a_file_named_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "train[1].jsonl").write_bytes(LINES[0])
    (tmp_path / "train1.jsonl").write_bytes(LINES[1])
    assert values(tmp_path / "train[1].jsonl") == LINES[:1]
    assert len(read_all(FileReader(str(tmp_path / "train[1].jsonl"), Path()))) == 1


def test_an_absolute_pattern_needs_no_folder(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(LINES[0])
    assert len(read_all(FileReader(str(tmp_path / "*.jsonl"), Path("elsewhere")))) == 1


@pytest.mark.parametrize("name", ["records.jsonl", "records.csv", "records.jsonl.gz"])
def test_a_run_over_an_empty_file_ends_cleanly(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    run = reading(tmp_path, source=FileReader(name, tmp_path))
    run.to_end()
    assert write(run.database, commit.close_windows, run.stream) is None
    run.database.close()


def test_a_truncated_file_never_counts_as_read(tmp_path: Path) -> None:
    rows = [record(n, "free for all") for n in range(20_000)]
    whole = gzip.compress("\n".join(json.dumps(row) for row in rows).encode())
    (tmp_path / "r.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    run = reading(tmp_path, source=FileReader("r.jsonl.gz", tmp_path), clock=lambda: START * 2)
    for _ in range(3):
        with pytest.raises(SourceError, match="cannot read"):
            run.to_end()
        assert not run.worker.drained
    run.database.close()
