"""JSON lines and `.json` files: marks, arrays, pretty objects, lines without end."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.kinds import Options
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Raw


def read(folder: Path, name: str, content: bytes, most: int = 1_000) -> list[Raw]:
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    source = FileReader(name, folder, Options(max_record_bytes=most))
    return [raw for inputs in source.batches(3) for raw in inputs]


def parsed(raws: list[Raw]) -> list[Any]:
    return [json.loads(raw.value) for raw in raws]  # type: ignore[arg-type]


RECORDS: list[Any] = [{"id": "a]", "d": {"x": [1, {"y": "}"}]}}, {"id": 'b"\\'}, {}, {"id": "c,"}]


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.json.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path, name: str) -> None:
    content = b"\xef\xbb\xbf" + b"".join(json.dumps(r).encode() + b"\n" for r in RECORDS)
    assert parsed(read(tmp_path, name, content)) == RECORDS


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_an_array_is_its_elements(tmp_path: Path, indent: int | None, before: bytes) -> None:
    content = before + json.dumps(RECORDS, indent=indent).encode() + b"\n"
    found = read(tmp_path, "r.json", content)
    assert parsed(found) == RECORDS
    assert [raw.offset for raw in found] == [0, 1, 2, 3]


def test_objects_that_span_lines_are_records(tmp_path: Path) -> None:
    content = "\n".join(json.dumps(r, indent=2) for r in RECORDS).encode()
    assert parsed(read(tmp_path, "r.json", content)) == RECORDS


def test_a_broken_element_is_one_dead_letter(tmp_path: Path) -> None:
    found = read(tmp_path, "r.json", b'[{"id": 1}, {"id": tru}, 7, {"id": 2}]')
    assert [raw.value for raw in found] == [b'{"id": 1}', b'{"id": tru}', b"7", b'{"id": 2}']


@pytest.mark.parametrize("name", ["r.json", "r.json.gz"])
def test_an_array_is_never_in_memory_as_a_whole(tmp_path: Path, name: str) -> None:
    large = json.dumps({"id": "large", "text": "x" * 4_000_000})
    parts = [json.dumps({"id": n, "text": "y" * 900}) for n in range(4_000)]
    parts[2_000] = large
    content = ("[" + ", ".join(parts) + "]").encode()
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)
    source = FileReader(name, tmp_path, Options(max_record_bytes=1_000, batch_bytes=50_000))
    tracemalloc.start()
    reasons = [raw.reason for inputs in source.batches(100) for raw in inputs]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(reasons), reasons.count("too_large")) == (4_000, 1)  # type: ignore[arg-type]
    assert peak < 2_500_000


def test_a_line_that_is_too_large_is_one_dead_letter_and_never_in_memory(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"id": 1}\n' + b"x" * 30_000_000 + b'\n{"id": 2}\n')
    source = FileReader("r.jsonl", tmp_path, Options(max_record_bytes=1_000))
    tracemalloc.start()
    found = [raw for inputs in source.batches(100) for raw in inputs]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(raw.offset, raw.reason, raw.size) for raw in found] == [
        (0, None, None),
        (1, "too_large", 30_000_000),
        (2, None, None),
    ]
    assert found[1].value == b"x" * 1_000
    assert peak < 3_000_000


def test_a_poll_ends_where_the_bytes_of_a_batch_do(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"id": "%s"}\n' % (b"x" * 89) * 50)
    source = FileReader("r.jsonl", tmp_path, Options(batch_bytes=1_000))
    source.poll(1, 0)
    assert len(source.poll(100, 0).inputs) == 10  # of 100 bytes
    source.allow(100)
    assert len(source.poll(100, 0).inputs) == 1
    source.close()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["r.json", "r.jsonl", "r.csv"])
def test_utf_16_says_what_to_do(tmp_path: Path, name: str, encoding: str) -> None:
    content = ("\ufeff" if encoding == "utf-16-be" else "") + '{"id": 1}\n'
    with pytest.raises(SourceError, match="UTF-16"):
        read(tmp_path, name, content.encode(encoding))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    records=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=6),
    indent=st.sampled_from([None, 1]),
    escaped=st.booleans(),
)
def test_any_array_is_its_elements(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[Any],
    indent: int | None,
    escaped: bool,  # noqa: FBT001
) -> None:
    content = json.dumps(records, indent=indent, ensure_ascii=escaped).encode()
    found = read(tmp_path_factory.mktemp("json"), "r.json", content, most=10_000_000)
    assert parsed(found) == records
