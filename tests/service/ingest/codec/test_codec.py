from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegauge_probes.model import Record
from tidegauge_service.clock import from_iso
from tidegauge_service.config.stream_file import Limits, RecordMapping
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest.dead_letter import DeadLetter

NOW = from_iso("2020-03-15T12:00:00Z")
SKEW = 300_000


def codec(limits: Limits | None = None, **mapping: Any) -> Codec:
    return Codec(
        RecordMapping(**mapping),
        limits or Limits.model_validate({"max_skew": f"{SKEW}ms"}),
        lambda: NOW,
    )


def decode(value: Any, *, source_ms: int | None = None, **mapping: Any) -> Record | DeadLetter:
    return codec(**mapping).decode(Raw(3, 17, value, source_ms))


def record(value: Any, *, source_ms: int | None = None, **mapping: Any) -> Record:
    decoded = decode(value, source_ms=source_ms, **mapping)
    assert isinstance(decoded, Record), decoded
    return decoded


def rejected(value: Any, *, source_ms: int | None = None, **mapping: Any) -> DeadLetter:
    decoded = decode(value, source_ms=source_ms, **mapping)
    assert isinstance(decoded, DeadLetter), decoded
    return decoded


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def payload(**fields: Any) -> bytes:
    """Return a record's bytes; *fields* replace what it has, None takes a field away."""
    whole = {"id": "a", "timestamp": "2020-03-15T11:00:00Z", "text": "hello", **fields}
    return json.dumps({k: v for k, v in whole.items() if v is not None}).encode()


def test_a_record_has_what_came_and_where_it_stands() -> None:
    assert record(payload(country="DE"), text="text") == Record(
        "a",
        from_iso("2020-03-15T11:00:00Z"),
        {"id": "a", "timestamp": "2020-03-15T11:00:00Z", "text": "hello", "country": "DE"},
        partition=3,
        offset=17,
    )


NOT_RECORDS: dict[str, tuple[bytes | None, str]] = {
    "nothing": (b"", "empty"),
    "a tombstone": (None, "empty"),
    "words": (b"hello", "not_json"),
    "half an object": (b'{"id": "a"', "not_json"),
    "NaN": (payload(score=math.nan), "not_json"),
    "infinity": (payload(score=math.inf), "not_json"),
    "a number of no size": (b'{"id": "a", "timestamp": 1e999}', "not_json"),
    "a whole number of 5,000 digits": (b'{"id": ' + b"9" * 5_000 + b"}", "not_json"),
    "a lone surrogate": (rb'{"id": "\ud800"}', "not_json"),
    "a lone surrogate before text": (rb'{"id": "\ud800 and more"}', "not_json"),
    "nested without end": (b"[" * 100_000, "not_json"),
    "a byte-order mark": (b"\xef\xbb\xbf" + payload(), "not_json"),
    "two objects": (payload() + payload(), "not_json"),
    "latin-1": ('{"id": "é"}'.encode("latin-1"), "not_utf8"),
    "latin-1 words": ("é".encode("latin-1"), "not_utf8"),
    "UTF-16": (payload().decode().encode("utf-16-le").replace(b"\0", b"\xff"), "not_utf8"),
    "an encoded surrogate": (b'{"id": "\xed\xa0\x80"}', "not_utf8"),
    "a NUL byte": (b'{"id": "a\0b"}', "nul_byte"),
    "an escaped NUL": (payload(text="a\0b"), "nul_byte"),
    "an escaped NUL in a key": (payload(**{"a\0b": 1}), "nul_byte"),
    "an escaped NUL after a backslash": (payload(text="\\\0"), "nul_byte"),
    "a list": (b"[1, 2]", "not_an_object"),
    "a text": (b'"hello"', "not_an_object"),
    "a number": (b"7", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "no id": (payload(id=None), "missing_id"),
    "an empty id": (payload(id=""), "missing_id"),
    "id null": (b'{"id": null, "timestamp": 0}', "missing_id"),
    "id a list": (payload(id=["a"]), "wrong_type"),
    "id true": (payload(id=True), "wrong_type"),
    "id a fraction": (payload(id=1.5), "wrong_type"),
    "text a number": (payload(text=7), "wrong_type"),
    "text a list": (payload(text=["hello"]), "wrong_type"),
    "no timestamp": (payload(timestamp=None), "missing_timestamp"),
    "timestamp words": (payload(timestamp="yesterday"), "bad_timestamp"),
    "timestamp empty": (payload(timestamp=""), "bad_timestamp"),
    "timestamp true": (payload(timestamp=True), "bad_timestamp"),
    "timestamp a list": (payload(timestamp=[1]), "bad_timestamp"),
    "the 30th of February": (payload(timestamp="2020-02-30T00:00:00Z"), "bad_timestamp"),
    "before 1970": (payload(timestamp=-1), "bad_timestamp"),
    "half a second before 1970": (payload(timestamp="1969-12-31T23:59:59.5Z"), "bad_timestamp"),
    "the future": (payload(timestamp="2020-03-15T12:05:00.001Z"), "future_timestamp"),
    "the far future": (payload(timestamp=10**30), "future_timestamp"),
    "ten megabytes": (payload(text="x" * 10_000_000), "too_large"),
}


@pytest.mark.parametrize("name", NOT_RECORDS)
def test_what_is_no_record_is_a_dead_letter_with_its_reason(name: str) -> None:
    value, reason = NOT_RECORDS[name]
    letter = rejected(value, text="text")
    assert letter.reason == reason
    assert letter.detail
    assert (letter.partition, letter.offset) == (3, 17)
    assert letter.payload == (value or b"")[:65_536]
    assert letter.size == len(value or b"")
    assert "\0" not in letter.detail
    letter.detail.encode()


def test_a_dead_letter_keeps_64_kib_and_says_how_much_there_was() -> None:
    letter = rejected(b"x" * 100_000)
    assert letter.payload == b"x" * 65_536
    assert letter.size == 100_000


def test_the_size_limit_is_the_last_size_that_is_taken() -> None:
    value = payload()
    inside, outside = Limits(max_record_bytes=len(value)), Limits(max_record_bytes=len(value) - 1)
    assert isinstance(codec(inside).decode(Raw(0, 0, value)), Record)
    too_large = codec(outside).decode(Raw(0, 0, value))
    assert isinstance(too_large, DeadLetter)
    assert too_large.reason == "too_large"
    assert "limits.max_record_bytes" in too_large.detail


def test_a_record_as_far_ahead_as_the_skew_is_taken() -> None:
    assert record(payload(timestamp=NOW + SKEW)).timestamp_ms == NOW + SKEW
    assert rejected(payload(timestamp=NOW + SKEW + 1)).reason == "future_timestamp"


@pytest.mark.parametrize(
    ("digits", "hint"), [(16, "microseconds: .*by 1,000"), (19, "nanoseconds: .*by 1,000,000")]
)
@pytest.mark.parametrize("kind", [int, str])
def test_a_unit_that_is_too_small_is_named(
    digits: int, hint: str, kind: Callable[[int], object]
) -> None:
    """It would be milliseconds of a far future, and raising max_skew no help."""
    letter = rejected(payload(id="a", timestamp=kind(NOW * 10 ** (digits - 13)), text=""))
    assert letter.reason == "future_timestamp"
    assert re.search(f"It looks like {hint}$", letter.detail)
    soon = rejected(payload(id="a", timestamp=NOW + 10 * SKEW, text=""))
    assert "looks like" not in soon.detail


def test_a_date_of_another_style_says_what_is_read() -> None:
    letter = rejected(payload(id="a", timestamp="10.11.2026 00:01", text=""))
    assert letter.reason == "bad_timestamp"
    assert "ISO 8601 (2026-11-10T00:01:00Z)" in letter.detail
    assert letter.detail.endswith("Convert it to one of these")


def test_missing_paths_list_what_came_and_no_copy_of_the_text() -> None:
    came = json_bytes({"body": "x", "n": 1})
    assert rejected(came, text="body").detail.endswith("the record has: body, n")
    named = json_bytes({"id": "a", "body": "x"})
    assert rejected(named, text="body").detail.endswith("the record has: id, body")


def test_the_first_moment_of_1970_is_taken() -> None:
    assert record(payload(timestamp=0)).timestamp_ms == 0


def test_a_backslash_before_u0000_is_text_not_a_nul() -> None:
    assert record(payload(text=r"the escape \u0000")).fields["text"] == r"the escape \u0000"


TIMES: dict[str, tuple[Any, str]] = {
    "UTC": ("2020-03-15T11:00:00Z", "2020-03-15T11:00:00Z"),
    "an offset": ("2020-03-15T12:00:00+02:00", "2020-03-15T10:00:00Z"),
    "no offset is UTC": ("2020-03-15T11:00:00", "2020-03-15T11:00:00Z"),
    "a space": ("2020-03-15 11:00:00", "2020-03-15T11:00:00Z"),
    "a date": ("2020-03-15", "2020-03-15T00:00:00Z"),
    "a date without dashes": ("20200315", "2020-03-15T00:00:00Z"),
    "milliseconds": ("2020-03-15T11:00:00.123Z", "2020-03-15T11:00:00.123Z"),
    "microseconds are cut": ("2020-03-15T11:00:00.123999Z", "2020-03-15T11:00:00.123Z"),
    "epoch seconds": (1_584_270_000, "2020-03-15T11:00:00Z"),
    "epoch seconds with a fraction": (1_584_270_000.123, "2020-03-15T11:00:00.123Z"),
    "epoch milliseconds": (1_584_270_000_123, "2020-03-15T11:00:00.123Z"),
    "epoch milliseconds as a fraction": (1_584_270_000_123.9, "2020-03-15T11:00:00.123Z"),
    "epoch seconds as text": ("1584270000", "2020-03-15T11:00:00Z"),
    "epoch seconds with a fraction as text": ("1584270000.123", "2020-03-15T11:00:00.123Z"),
    "epoch milliseconds as text": ("1584270000123", "2020-03-15T11:00:00.123Z"),
}


@pytest.mark.parametrize("name", TIMES)
def test_timestamps_are_read_as(name: str) -> None:
    written, meant = TIMES[name]
    assert record(payload(timestamp=written)).timestamp_ms == from_iso(meant)


@given(st.integers(0, NOW))
def test_every_way_to_write_a_millisecond_reads_the_same(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    far = moment.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    for written in (moment.isoformat(), far.isoformat(), moment.replace(tzinfo=None).isoformat()):
        assert record(payload(timestamp=written)).timestamp_ms == ms
    for value in (moment, far, moment.replace(tzinfo=None)):
        assert record({"id": "a", "timestamp": value}).timestamp_ms == ms
    if ms < 100_000_000_000 * 1000:
        assert record(payload(timestamp=ms / 1000)).timestamp_ms == ms
    if ms >= 100_000_000_000:
        assert record(payload(timestamp=ms)).timestamp_ms == ms


def test_the_sources_timestamp_can_be_the_event_time() -> None:
    taken = record(b'{"id": "a"}', source_ms=NOW - 5, timestamp="@source")
    assert taken.timestamp_ms == NOW - 5
    missing = rejected(b'{"id": "a"}', timestamp="@source")
    assert missing.reason == "missing_timestamp"


def test_without_an_id_field_the_position_is_the_id() -> None:
    assert record(payload(id=None), id=None).id == "3:17"


def test_a_whole_number_can_be_an_id() -> None:
    assert record(payload(id=7)).id == "7"
    assert record(payload(id=2**70)).id == str(2**70)


def test_paths_reach_into_objects() -> None:
    value = json.dumps(
        {"meta": {"key": "a", "at": "2020-03-15T11:00:00Z"}, "payload": {"body": "hello"}}
    ).encode()
    taken = record(value, id="meta.key", timestamp="meta.at", text="payload.body")
    assert taken.id == "a"
    assert taken.timestamp_ms == from_iso("2020-03-15T11:00:00Z")
    assert taken.fields["text"] == "hello"
    assert taken.fields["payload"] == {"body": "hello"}


def test_a_key_with_dots_wins_over_the_path() -> None:
    value = payload(**{"a.b": "whole", "a": {"b": "nested"}})
    assert record(value, text="a.b").fields["text"] == "whole"


def test_null_at_the_path_of_the_text_is_a_null_text() -> None:
    value = {"id": "a", "timestamp": 0, "body": None, "text": "another"}
    assert record(value, text="body").fields["text"] is None


@pytest.mark.parametrize("path", ["bdy", "payload.bdy", "text.body", "payload.body.text"])
def test_nothing_at_the_path_of_the_text_is_no_text(path: str) -> None:
    """Not null, which would be an abstain; and not the record's own `text`, which is another."""
    whole = payload(text="hello", payload={"body": "x"})
    assert "text" not in record(whole, text=path).fields
    assert "text" not in record({"id": "a", "timestamp": 0, "text": "x"}, text=path).fields


def test_no_text_at_all_is_no_text() -> None:
    value = json.dumps({"id": "a", "timestamp": 0}).encode()
    assert "text" not in record(value, text="text").fields


def test_fields_of_files_are_taken_as_they_are() -> None:
    fields = {"id": "a", "timestamp": "2020-03-15T11:00:00Z", "score": 0.5}
    assert record(fields).fields == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "a\0b"},
        {"a\0b": "text"},
        {"nested": {"text": "a\0b"}},
        {"nested": {"a\0b": 1}},
        {"list": ["fine", {"text": "a\0b"}]},
    ],
)
def test_a_nul_anywhere_in_the_fields_of_a_file_is_a_dead_letter(fields: dict[str, Any]) -> None:
    letter = rejected({"id": "a", "timestamp": 0, **fields})
    assert letter.reason == "nul_byte"
    assert "\0" not in letter.detail


def test_a_row_above_the_size_limit_is_a_dead_letter() -> None:
    letter = rejected({"id": "a", "timestamp": 0, "text": "x" * 10_000_000})
    assert letter.reason == "too_large"
    assert len(letter.payload) == 65_536


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_of_a_file_that_is_no_time_is_a_bad_timestamp(value: float) -> None:
    assert rejected({"id": "a", "timestamp": value}).reason == "bad_timestamp"


def test_an_object_may_be_nested_64_deep_and_no_deeper() -> None:
    inside, outside = (
        b'{"id": "a", "timestamp": 0, "x": %b}' % (b"[" * n + b"]" * n) for n in (63, 64)
    )
    assert isinstance(decode(inside), Record)
    letter = rejected(outside)
    assert (letter.reason, letter.detail) == ("not_json", "nested too deeply")


def test_brackets_in_a_text_are_no_nesting() -> None:
    assert record(payload(text="[{" * 500)).fields["text"] == "[{" * 500


@given(st.binary())
@example(b'{"id": "a", "timestamp": "9999-12-31T23:59:59.999999-23:59"}')
@example(b'{"id": "a", "timestamp": "0001-01-01T00:00:00+23:59"}')
@example(b'{"id": "a", "timestamp": -1e308}')
@example(b'{"id": "a", "timestamp": "' + b"9" * 400 + b'"}')
@example(b'{"id": "a", "timestamp": "' + b"9" * 5_000 + b'"}')
def test_no_bytes_raise(value: bytes) -> None:
    decoded = decode(value, text="text")
    assert (decoded.partition, decoded.offset) == (3, 17)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, JSON, JSON)
def test_no_values_raise_and_every_record_is_sound(id_: Any, timestamp: Any, text: Any) -> None:
    fields = {"id": id_, "timestamp": timestamp, "text": text}
    for value in (fields, json.dumps(fields).encode()):
        decoded = decode(value, text="text")
        if isinstance(decoded, Record):
            assert decoded.id
            assert 0 <= decoded.timestamp_ms <= NOW + SKEW
            assert decoded.fields["text"] is None or isinstance(decoded.fields["text"], str)
        else:
            assert decoded.detail
            decoded.detail.encode()
            assert "\0" not in decoded.detail
