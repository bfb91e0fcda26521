"""From an input to a record, or to a dead letter that says why it could not be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tidegauge_probes.model import ABSENT, Record, lookup
from tidegauge_service.clock import Clock, from_iso
from tidegauge_service.config.stream_file import Limits, RecordMapping
from tidegauge_service.ingest.codec.columns import columns
from tidegauge_service.ingest.codec.formats import Format, Json, size_of
from tidegauge_service.ingest.codec.rejection import DeadLetterReason, Rejected
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest.dead_letter import DeadLetter

SOURCE_TIMESTAMP: Final = "@source"

MOST_DETAIL: Final = 1_000
"""Maximum length of a dead letter's detail, in characters. It quotes the input, which can be any
size."""

_SECONDS_UP_TO: Final = 100_000_000_000
"""Smaller numbers are epoch seconds (up to the year 5138), larger ones milliseconds (from 1973)."""

_MICROSECONDS_FROM: Final = 100_000_000_000_000
"""Larger numbers would be milliseconds after the year 5138: they are microseconds (from 1973)."""

_NANOSECONDS_FROM: Final = 1_000 * _MICROSECONDS_FROM

_EPOCH_TEXT: Final = re.compile(r"-?[0-9]{9,}(\.[0-9]+)?")
"""CSV has only strings. Eight digits are a date: 20200315."""


class Codec:
    """Decodes the inputs of one stream."""

    def __init__(
        self,
        mapping: RecordMapping,
        limits: Limits,
        clock: Clock,
        format_: Format | None = None,
    ) -> None:
        """Make a codec of JSON, unless *format_* says how else bytes are read."""
        self._mapping = mapping
        self._limits = limits
        self._clock = clock
        self._format = format_ or Json()
        self._text, self._most = mapping.text, limits.max_record_bytes
        self._latest_ms = -1

    def decode(self, raw: Raw) -> Record | DeadLetter:
        """Return the record, or a dead letter; never raises for what the input holds.

        SourceError if the format needs somebody's answer (a schema registry's), and has none.
        """
        if raw.fault is not None:
            return self.refuse(raw, raw.reason or DeadLetterReason.UNDECODABLE_BATCH, raw.fault)
        value, path = raw.value, self._text
        try:
            if type(value) is bytes and 0 < len(value) <= self._most:
                fields = self._format.fields(value)
            else:
                fields = self._checked(value)
            came = fields
            if path is not None and not (path == "text" and type(fields.get("text")) is str):
                fields = _with_text(fields, path)
            return Record(
                self._id(fields, raw, came),
                self._timestamp_ms(fields, raw, came),
                fields,
                raw.partition,
                raw.offset,
            )
        except Rejected as rejected:
            return self.refuse(raw, rejected.reason, str(rejected))

    def fields(self, raw: Raw) -> Mapping[str, Any] | None:
        """Return the fields of an input as they came; None if it has none, or is over a limit."""
        try:
            return None if raw.fault is not None else self._checked(raw.value)
        except Rejected:
            return None

    def refuse(self, raw: Raw, reason: DeadLetterReason, detail: str) -> DeadLetter:
        """Keep an input that is no record, with the reason; of a large one only the beginning."""
        return _dead_letter(raw, reason, detail, self._limits.dead_letter_bytes)

    def _checked(self, value: bytes | Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Hold to the limits what is empty or too large, or the fields of CSV and Parquet."""
        if not value:
            what = "no value: a tombstone" if value is None else "nothing in it"
            raise Rejected(DeadLetterReason.EMPTY, what)
        size = len(value) if isinstance(value, bytes) else size_of(value)
        if size > self._most:
            detail = f"{size} bytes; limits.max_record_bytes is {self._most}"
            raise Rejected(DeadLetterReason.TOO_LARGE, detail)
        return self._format.fields(value) if isinstance(value, bytes) else value

    def _id(self, fields: Mapping[str, Any], raw: Raw, came: Mapping[str, Any]) -> str:
        path = self._mapping.id
        if path is None:
            return f"{raw.partition}:{raw.offset}"
        value = lookup(fields, path)
        if type(value) is str and value:
            return value
        if value is None or value == "":
            detail = f"no value at '{path}' (record.id); the record has: {columns([came])}"
            raise Rejected(DeadLetterReason.MISSING_ID, detail)
        if isinstance(value, bool) or not isinstance(value, str | int):
            detail = f"'{path}' (record.id) is {type(value).__name__}, not a string or an integer"
            raise Rejected(DeadLetterReason.WRONG_TYPE, detail)
        return str(value)

    def _timestamp_ms(self, fields: Mapping[str, Any], raw: Raw, came: Mapping[str, Any]) -> int:
        path = self._mapping.timestamp
        value = raw.timestamp_ms if path == SOURCE_TIMESTAMP else lookup(fields, path)
        if value is None:
            detail = f"no value at '{path}' (record.timestamp); the record has: {columns([came])}"
            raise Rejected(DeadLetterReason.MISSING_TIMESTAMP, detail)
        ms = _to_ms(value, path)
        if ms < 0:
            raise Rejected(DeadLetterReason.BAD_TIMESTAMP, f"'{path}' is before 1970: {value!r}")
        if ms > self._latest_ms:  # the clock is asked only for what is newer than all before
            self._latest_ms = self._clock() + self._limits.max_skew
        if ms > self._latest_ms:
            detail = f"'{path}' is further in the future than limits.max_skew allows: {value!r}"
            detail += _unit(ms)
            raise Rejected(DeadLetterReason.FUTURE_TIMESTAMP, detail)
        return ms


def _with_text(fields: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the fields with the text at *path* as `text`.

    Where a record has nothing at *path*, it has no `text` either, so every LF that reads it fails:
    null would be an abstain, and a wrong path would look like quiet traffic.
    """
    text = lookup(fields, path, ABSENT)
    if text is ABSENT:
        return {name: value for name, value in fields.items() if name != "text"}
    if text is not None and not isinstance(text, str):
        detail = f"'{path}' (record.text) is {type(text).__name__}, not a string"
        raise Rejected(DeadLetterReason.WRONG_TYPE, detail)
    return fields if path == "text" else {**fields, "text": text}


def _unit(ms: int) -> str:
    """Say what a time in the far future most likely is."""
    if ms < _MICROSECONDS_FROM:
        return ""
    unit, by = ("nano", "1,000,000") if ms >= _NANOSECONDS_FROM else ("micro", "1,000")
    return (
        f". It looks like {unit}seconds: epoch times are read as seconds or milliseconds, so "
        f"divide it by {by}"
    )


def _to_ms(value: Any, path: str) -> int:
    """Read ISO-8601, epoch seconds or epoch milliseconds; or a datetime of CSV and Parquet."""
    try:
        if type(value) is str:
            if value[4:5] == "-" or not _EPOCH_TEXT.fullmatch(value):
                return from_iso(value)
            value = float(value) if "." in value else int(value)
        if isinstance(value, datetime):
            return from_iso(value.replace(tzinfo=value.tzinfo or UTC).isoformat())
        if isinstance(value, int | float) and not isinstance(value, bool):
            # By whole microseconds: 1.001 * 1000 is a little less than 1001.
            seconds = abs(value) < _SECONDS_UP_TO
            return round(value * 1_000_000) // 1000 if seconds else int(value)
    except (ValueError, OverflowError) as error:
        detail = (
            f"'{path}' is not ISO 8601 (2026-11-10T00:01:00Z) or epoch seconds or milliseconds: "
            f"{value!r:.80}. Convert it to one of these"
        )
        raise Rejected(DeadLetterReason.BAD_TIMESTAMP, detail) from error
    detail = f"'{path}' is {type(value).__name__}, not a time"
    raise Rejected(DeadLetterReason.BAD_TIMESTAMP, detail)


def _dead_letter(raw: Raw, reason: DeadLetterReason, detail: str, most_bytes: int) -> DeadLetter:
    value = raw.value
    payload = value if isinstance(value, bytes) else _as_json(value)
    # PostgreSQL refuses NUL in texts, and details quote the input.
    shown = detail[:MOST_DETAIL].replace("\0", "\\0").encode("utf-8", "replace").decode()
    return DeadLetter(
        raw.partition,
        raw.offset,
        str(reason),
        shown,
        payload[:most_bytes],
        len(payload) if raw.size is None else raw.size,
        raw.timestamp_ms,
    )


def _as_json(fields: Mapping[str, Any] | None) -> bytes:
    """Return fields of CSV and Parquet as JSON, so that a dead letter can be replayed."""
    if not fields:
        return b""
    try:
        return msgspec.json.encode(dict(fields), enc_hook=str)
    except (TypeError, ValueError, RecursionError):  # lone surrogates, keys that are no texts
        return repr(dict(fields)).encode("utf-8", "replace")
