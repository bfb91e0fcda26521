"""CSV and TSV: what is no proper row is a dead letter, and the rest is read."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.streams_for_tests import write_stream
from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.sources.files.kinds import Options
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Raw


def read(
    folder: Path, content: bytes, *, name: str = "r.csv", most: int = 1_000, **dialect: Any
) -> list[Raw]:
    """Write a file and read it to its end."""
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    options = Options(csv=CsvDialect(**dialect), max_record_bytes=most)
    source = FileReader(name, folder, options)
    return [raw for inputs in source.batches(7) for raw in inputs]


def brief(raws: list[Raw]) -> list[Any]:
    """Return fields, or the reason and the bytes."""
    return [(str(raw.reason), raw.value) if raw.fault else raw.value for raw in raws]


def row(n: int, text: str = "hello") -> dict[str, str]:
    return {"id": f"r{n}", "text": text}


def test_a_row_with_too_many_or_too_few_cells_is_a_dead_letter(tmp_path: Path) -> None:
    found = read(tmp_path, b"id,text\nr1,hello, special offer\nr2,hello\nr3\nr4,hello\n")
    assert brief(found) == [
        ("ragged_row", b"r1,hello, special offer"),
        row(2),
        ("ragged_row", b"r3"),
        row(4),
    ]
    assert [raw.offset for raw in found] == [0, 1, 2, 3]
    assert [raw.fault for raw in found[:3:2]] == [
        "3 cells, but the header has 2",
        "1 cells, but the header has 2",
    ]


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz"])
@pytest.mark.parametrize(
    "bad",
    [b'r1,"hello', b'r1,"he"llo"', b'"r1,hello', b'r1,"5" pipe"'],
)
def test_a_quote_that_is_not_closed_costs_its_own_line(
    tmp_path: Path, bad: bytes, name: str
) -> None:
    after = b"".join(b'r%d,"hello"\n' % n for n in range(2, 40))
    found = read(tmp_path, b"id,text\nr0,hello\n" + bad + b"\n" + after, name=name)
    assert brief(found) == [row(0), ("not_csv", bad), *(row(n) for n in range(2, 40))]


def test_a_quote_that_is_never_closed_is_not_looked_for_in_the_whole_file(tmp_path: Path) -> None:
    rest = b"".join(b"r%d,hello\n" % n for n in range(2, 400))
    found = read(tmp_path, b'id,text\nr1,"hello\n' + rest, most=100)
    assert brief(found) == [("not_csv", b'r1,"hello'), *(row(n) for n in range(2, 400))]


def test_cells_may_span_lines(tmp_path: Path) -> None:
    found = read(tmp_path, b'id,text\r\nr1,"a\r\nb ""c"""\r\nr2,hello\r\n')
    assert brief(found) == [row(1, 'a\r\nb "c"'), row(2)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_header(tmp_path: Path, delimiter: str) -> None:
    text = f"id{delimiter}text\nr1{delimiter}a, b; c\nr2{delimiter}hello\n"
    if delimiter in ",;":
        text = text.replace("a, b; c", '"a, b; c"')
    assert brief(read(tmp_path, text.encode())) == [row(1, "a, b; c"), row(2)]


def test_a_tsv_file_is_parted_by_tabs(tmp_path: Path) -> None:
    found = read(tmp_path, b"id,x\ttext\nr1\thello, you\n", name="r.tsv")
    assert brief(found) == [{"id,x": "r1", "text": "hello, you"}]


def test_excels_hint_names_the_delimiter(tmp_path: Path) -> None:
    assert brief(read(tmp_path, b"sep=;\r\nid;text\r\nr1;hello\r\n")) == [row(1)]


def test_the_dialect_may_be_said(tmp_path: Path) -> None:
    found = read(
        tmp_path, 'id~text\nr1~"caf\xe9\n'.encode("latin-1"),
        delimiter="~", quote="", encoding="latin-1",
    )  # fmt: skip
    assert brief(found) == [row(1, '"caf\xe9')]


def test_bytes_of_another_encoding_are_one_dead_letter(tmp_path: Path) -> None:
    found = read(tmp_path, b'id,text\nr1,hello\nr2,caf\xe9\nr3,"caf\xe9\n"\nr4,hello\n')
    assert brief(found) == [
        row(1),
        ("not_utf8", b"r2,caf\xe9"),
        ("not_utf8", b'r3,"caf\xe9\n"'),
        row(4),
    ]
    assert "source.csv.encoding" in (found[1].fault or "")


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"id,text,id", "two columns are named 'id'"),
        (b"id,,text", "column 2 of 3 has no name"),
        (b",id,text", "column 1 of 3 has no name"),
        (b'id,"text', "its quotes do not match"),
        (b"id,text\rr1,hello\r", "CR only"),
        (b"id,t\xe9xt", "not utf-8"),
    ],
)
def test_a_header_that_cannot_be_one_is_an_error(tmp_path: Path, header: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=f"cannot read the header of .*r.csv: .*{why}"):
        read(tmp_path, header + b"\nr1,hello\n")


def test_blank_lines_take_an_offset(tmp_path: Path) -> None:
    found = read(tmp_path, b"\n\xef\xbb\xbf"[1:] + b"id,text\n\nr1,hello\n\r\nr2,hello\n")
    assert [(raw.offset, raw.value) for raw in found] == [(1, row(1)), (3, row(2))]


def test_a_row_that_is_too_large_is_one_dead_letter_and_never_in_memory(tmp_path: Path) -> None:
    big = b'r2,"' + b"x" * 8_000_000
    content = b"id,text\nr1,hello\n" + big + b'"\nr3,hello\n'
    (tmp_path / "r.csv").write_bytes(content)
    source = FileReader("r.csv", tmp_path, Options(max_record_bytes=1_000))
    tracemalloc.start()
    found = [raw for inputs in source.batches(10) for raw in inputs]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [raw.reason for raw in found] == [None, "too_large", None]
    assert (found[1].value, found[1].size) == (big[:1_000], len(big) + 1)
    assert peak < 2_000_000


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1),
            st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")),
        ),
        max_size=8,
    )
)
def test_what_the_csv_module_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([("id", "text"), *rows])
    found = read(tmp_path_factory.mktemp("csv"), text.getvalue().encode(), most=100_000)
    assert brief(found) == [{"id": a, "text": b} for a, b in rows]


@pytest.mark.parametrize("name", ["utf-16", "no-such", "utf-32-le"])
def test_an_encoding_that_cannot_be_split_into_lines_is_refused(tmp_path: Path, name: str) -> None:
    source = {"kind": "file", "path": "r.csv", "csv": {"encoding": name}}
    with pytest.raises(SettingsError, match=f"'{name}' is not an encoding"):
        load_stream(write_stream(tmp_path, source=source))
