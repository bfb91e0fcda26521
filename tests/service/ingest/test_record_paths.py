"""What the paths of a stream file find in the first records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.streams_for_tests import START, record, write_stream
from tidegauge_service.clock import now_ms
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.record_paths import MappingReport, check_mapping
from tidegauge_service.ingest.sources.source import Raw

GOOD = [record(n, "free", channel="web", mail={"to": "a"}) for n in range(4)]


def check(folder: Path, inputs: list[Any], **changes: Any) -> MappingReport:
    config = load_stream(write_stream(folder, **changes))
    raws = [
        Raw(0, n, one if isinstance(one, bytes) else json.dumps(one).encode())
        for n, one in enumerate(inputs)
    ]
    return check_mapping(config, Codec(config.record, config.limits, now_ms), raws)


def test_paths_that_are_there_are_no_fault(tmp_path: Path) -> None:
    found = check(tmp_path, GOOD, segment_by=["channel", "mail.to"])
    assert found == MappingReport(4, 0, (), "", "id, timestamp, text, channel, mail.to")
    assert found.faults(0.05) == ()


def test_every_wrong_path_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"id": "key", "timestamp": "ts", "text": "bdy"}
    found = check(tmp_path, GOOD, record=wrong, segment_by=["chanel", "mail.from", "channel"])
    assert found.faults(0.05) == (
        "record.id: 'key' is in none of the first 4 records",
        "record.timestamp: 'ts' is in none of the first 4 records",
        "record.text: 'bdy' is in none of the first 4 records",
        "segment_by: 'chanel' is in none of the first 4 records",
        "segment_by: 'mail.from' is in none of the first 4 records",
    )


def test_a_time_that_cannot_be_read_is_quoted(tmp_path: Path) -> None:
    found = check(tmp_path, [{**one, "timestamp": "03/11/2020"} for one in GOOD])
    [said] = found.faults(0.05)
    assert said.startswith("4 of the first 4 records cannot be used: bad_timestamp, 'timestamp' is")
    assert "03/11/2020" in said


def test_a_null_is_a_value_that_is_missing_not_a_path(tmp_path: Path) -> None:
    [said] = check(tmp_path, [{**one, "timestamp": None} for one in GOOD]).faults(0.05)
    assert "missing_timestamp, no value at 'timestamp' (record.timestamp)" in said


@pytest.mark.parametrize(("dead", "faults"), [(1, 0), (3, 1)])
def test_dead_letters_are_a_fault_beyond_the_share_that_the_stream_bears(
    tmp_path: Path, dead: int, faults: int
) -> None:
    found = check(tmp_path, [*GOOD, *[b"no json"] * dead])
    assert found.dead == dead
    assert len(found.faults(0.25)) == faults


def test_inputs_without_any_field_are_told_of_by_their_reason(tmp_path: Path) -> None:
    [said] = check(tmp_path, [b"no json"] * 3).faults(0.05)
    assert said.startswith("3 of the first 3 records cannot be used: not_json")


def test_the_time_of_the_source_is_no_path(tmp_path: Path) -> None:
    config = load_stream(write_stream(tmp_path, record={"timestamp": "@source"}))
    raw = Raw(0, 0, b'{"id": "a"}', START)
    report = check_mapping(config, Codec(config.record, config.limits, now_ms), [raw])
    assert report.faults(0.05) == ()
