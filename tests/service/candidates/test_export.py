"""Texts of candidates run in no spreadsheet, whoever wrote them; other formats hold them as is."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_service.candidates import export
from tidegauge_service.candidates.export import ExportFormat
from tidegauge_service.store.candidates import Candidate, CandidateReason

RUNS = {
    "equals": "=1+1",
    "plus": "+1+1",
    "minus": "-1+1",
    "at": "@SUM(A1)",
    "a space": " =1+1",
    "a no-break space": "\u00a0=1+1",
    "fullwidth equals": "\uff1d1+1",
    "fullwidth plus": "\uff0b1+1",
    "fullwidth minus": "\uff0d1+1",
    "small at": "\ufe6bSUM(A1)",
    "a space and fullwidth": "\u3000\uff1d1",
    "a byte-order mark": "\ufeff=1+1",
    "a zero-width space": "\u200b=1+1",
    "a tab": "\thello",
    "a return": "\rhello",
    "a line": "\nhello",
    "a control": "\x01=1",
    "a command": "=cmd|' /C calc'!A0",
    "a number that goes on": "-1.5+2",
    "two signs": "--1",
    "fullwidth digits": "-\uff11",
}
PLAIN = ("", "hello", "a=1", "-1", "+1.5", "-1.5e-7", "'=1", "1-2", "(=1)", "\u2013 dash", "0x=1")


def candidate(record_id: str, **payload: Any) -> Candidate:
    reason = CandidateReason("uniform", "a", 0.5)
    return Candidate(
        id="c", stream="s", window_start_ms=0, partition=0, offset=7, record_id=record_id,
        timestamp_ms=0, payload=payload, votes={}, segments=("country=DE",), state="proposed",
        probe_set="p", baseline="b", reasons=(reason,),
    )  # fmt: skip


def cells(one: Candidate) -> dict[str, str]:
    """Return the row as a CSV reader reads it."""
    text = b"".join(export.csv([one])).decode()
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    return row


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS)
def test_what_could_run_gets_a_quote(text: str) -> None:
    assert cells(candidate(text))["record_id"] == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_could_not_stays_as_it_is(text: str) -> None:
    assert cells(candidate(text))["record_id"] == text


def test_numbers_stay_numbers() -> None:
    assert cells(candidate("a"))["offset"] == "7"
    assert cells(candidate("a", score=-1))["payload"] == '{"score": -1}'


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS)
def test_json_and_parquet_hold_the_text(text: str) -> None:
    one = candidate(text, text=text)
    [line] = export.ndjson([one])
    assert json.loads(line)["record_id"] == text
    with export.spooled(ExportFormat.PARQUET, [one]) as file:
        [row] = pq.read_table(io.BytesIO(file.read())).to_pylist()
    assert row["record_id"] == text
    assert row["text"] == text


@given(st.text())
def test_a_quote_is_all_that_is_added(text: str) -> None:
    assert export._cell(text) in (text, f"'{text}")


def test_all_formats_have_the_columns_of_the_row() -> None:
    one = candidate("a", text="hello", n=1)
    names = list(export.CandidateRow.__annotations__)
    [line] = export.ndjson([one])
    assert list(json.loads(line)) == names
    assert list(cells(one)) == names
    assert export.SCHEMA.names == [*names[:-1], "text", "payload"]
    assert json.loads(line) == {
        "id": "c", "stream": "s", "window": "1970-01-01T00:00:00Z", "record_id": "a",
        "timestamp": "1970-01-01T00:00:00Z", "reasons": ["uniform"],
        "inclusion_probability": {"uniform": 0.5}, "alerts": ["a"], "votes": {},
        "segments": ["country=DE"], "state": "proposed", "probe_set": "p", "baseline": "b",
        "partition": 0, "offset": 7, "payload": {"text": "hello", "n": 1},
    }  # fmt: skip


def test_parquet_has_the_types_that_people_read_it_with() -> None:
    types = {field.name: str(field.type) for field in export.SCHEMA}
    texts = dict.fromkeys(
        ("id", "stream", "window", "record_id", "timestamp", "state", "probe_set", "baseline"),
        "string",
    )
    lists = dict.fromkeys(("reasons", "alerts", "segments"), "list<element: string>")
    assert {name: t.replace("item:", "element:") for name, t in types.items()} == {
        **texts, **lists, "partition": "int32", "offset": "int64", "text": "string",
        "payload": "string", "votes": "map<string, string>",
        "inclusion_probability": "map<string, double>",
    }  # fmt: skip
