"""A run to the end of a source that brought no record is no success; nor is one that cannot end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.service.file_streams import FileStream, jsonl, rows
from tests.service.streams_for_tests import START, write_jsonl, write_stream
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import NoRecord, SourceError, StreamHalted


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def _database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGAUGE_DATABASE", f"sqlite:///{tmp_path}/test.db")


NOTHING = {
    "empty": (b"", "the source is empty"),
    "blank": (b"\n\n\n", "the source is empty"),
    "no object": (b"[1]\n" * 600, "all 600 inputs became dead letters"),
    "no timestamp": (b'{"id": "a"}\n' * 3, "all 3 inputs became dead letters"),
}


@pytest.mark.parametrize("what", NOTHING)
def test_a_replay_without_a_record_fails_and_says_why(tmp_path: Path, what: str) -> None:
    content, why = NOTHING[what]
    (tmp_path / "records.jsonl").write_bytes(content)
    result = invoked("replay", str(write_stream(tmp_path)), "--json")
    assert isinstance(result.exception, NoRecord)
    assert why in str(result.exception)
    assert result.exception.exit_code == 4
    assert json.loads(result.stdout)["records"] == 0, "what was found is printed all the same"


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("n", [3, 1_000])
def test_a_wrong_timestamp_is_named_with_the_columns_that_there_are(
    tmp_path: Path, n: int, *, kept: bool
) -> None:
    """A short source is found out at its end, a longer one by its share of dead letters."""
    write_jsonl(tmp_path / "records.jsonl", rows(0, n))
    mapping = {"id": "id", "timestamp": "when", "text": "text"}
    more = ("--database", f"sqlite:///{tmp_path}/kept.db") if kept else ()
    result = invoked("replay", str(write_stream(tmp_path, record=mapping)), *more)
    said = str(result.exception)
    assert isinstance(result.exception, StreamHalted)
    assert "no value at 'when' (record.timestamp); the record has: id, timestamp, text" in said
    assert ("tidegauge dead-letters list" in said) is kept
    assert "raise" not in said, "no limit lets a stream without a record through"
    if n == 1_000:
        assert "Check `record.timestamp` in the stream file" in said


def test_semicolons_in_what_is_said_to_have_commas(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("id;timestamp;text\n" + "a;b;c\n" * 600)
    source = {"kind": "file", "path": "records.csv", "csv": {"delimiter": ","}}
    result = invoked("replay", str(write_stream(tmp_path, source=source)))
    assert isinstance(result.exception, NoRecord)


def test_late_records_are_records(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [*rows(0, 5), b"broken"])
    assert invoked("replay", str(write_stream(tmp_path))).exit_code == 0


def test_a_named_baseline_is_found_in_the_configured_database(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", rows(0, 600))
    path = str(write_stream(tmp_path, baseline={"name": "january"}))
    missing = invoked("replay", path)
    assert "there is no baseline 'january'" in str(missing.exception)
    fitted = invoked(
        "baseline", "fit", path, "--name", "january", "--records", str(tmp_path / "records.jsonl")
    )
    assert fitted.exit_code == 0, fitted.output
    kept = f"sqlite:///{tmp_path}/kept.db"
    for more in ((), ("--database", kept), ("--database", kept)):
        result = invoked("replay", path, "--json", *more)
        assert result.exit_code == 0, result.exception
        assert json.loads(result.output)["windows"] == 10


def test_training_records_and_samples_are_read_as_the_stream_is(tmp_path: Path) -> None:
    """A byte order mark, semicolons, a ragged row, a blank line."""
    lines = [f"{r['id']};{r['timestamp']};{r['text']}" for r in rows(0, 300)]
    content = "\ufeff" + "\n".join(["id;timestamp;text", *lines, "", "x;y", "one;more;cell;here"])
    (tmp_path / "records.csv").write_text(content + "\n", encoding="utf-8")
    source = {"kind": "file", "path": "records.csv"}
    baseline = {"from": to_iso(START), "until": to_iso(START + 3_600_000)}
    path = str(write_stream(tmp_path, source=source, baseline=baseline))
    replayed = json.loads(invoked("replay", path, "--json").stdout)
    assert (replayed["records"], replayed["dead_letter_reasons"]) == (300, {"ragged_row": 2})
    fit = ("baseline", "fit", path, "--name", "b", "--records", str(tmp_path / "records.csv"))
    fitted = json.loads(invoked(*fit, "--json").output)
    assert (fitted["records"], fitted["source"]["rejected"]) == (300, 2)
    sample = ("probes", "check", str(tmp_path / "probes.yaml"), "--json", "--sample")
    checked = json.loads(invoked(*sample, str(tmp_path / "records.csv")).output)
    assert (checked["records"], checked["unreadable"]) == (300, 2)


def test_a_second_drain_with_nothing_new_is_a_success(tmp_path: Path) -> None:
    stream = FileStream(tmp_path)
    stream.put("day-1.jsonl", rows(0, 5))
    stream.drain()
    database = stream.database()
    pipeline = stream.open(database)
    pipeline.run_to_end(lambda _: None)
    pipeline.require_records(0)
    pipeline.close()
    database.close()


def test_a_file_that_goes_away_while_it_is_listed_is_an_error(tmp_path: Path) -> None:
    stream = FileStream(tmp_path)
    stream.put("day-1.jsonl", jsonl(rows(0, 5)))
    (tmp_path / "day-2.jsonl").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"cannot read .*day-2\.jsonl"):
        stream.drain()
