"""From an input to a record, or to a dead letter that says why it could not be one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from tidegauge_probes.model import Record, lookup
from tidegauge_service.clock import Clock, from_iso
from tidegauge_service.ingest.source import Raw
from tidegauge_service.store.commit import DeadLetter
from tidegauge_service.stream_config import Limits, RecordMapping

SOURCE_TIMESTAMP: Final = "@source"

MAX_NESTING: Final = 64
"""Levels of objects and lists. Python's recursion limit would let through what it refuses a few
calls deeper: a record that is counted here and cannot be written there."""

_SECONDS_UP_TO: Final = 100_000_000_000
"""Numbers below are epoch seconds (up to the year 5138), above milliseconds (from 1973)."""

_EPOCH_TEXT: Final = re.compile(r"-?[0-9]{9,}(\.[0-9]+)?")
"""CSV has texts only. Eight digits are a date: 20200315."""

_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
r"""An even number of backslashes before it are themselves escaped: ``\\u0000`` is text."""


class Reason(StrEnum):
    """Why an input is a dead letter."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NUL_BYTE = "nul_byte"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    WRONG_TYPE = "wrong_type"
    MISSING_ID = "missing_id"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    DATABASE = "database"
    UNDECODABLE_BATCH = "undecodable_batch"


class _Rejected(Exception):  # noqa: N818  (never leaves this module)
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Codec:
    """Decodes the inputs of one stream."""

    def __init__(self, mapping: RecordMapping, limits: Limits, clock: Clock) -> None:
        self._mapping = mapping
        self._limits = limits
        self._clock = clock
        self._decoder = msgspec.json.Decoder()

    def decode(self, raw: Raw) -> Record | DeadLetter:
        """Return the record, or a dead letter; never raises for what the input holds."""
        if raw.fault is not None:
            return self.refuse(raw, Reason.UNDECODABLE_BATCH, raw.fault)
        try:
            fields = self._fields(raw)
            text_path = self._mapping.text
            if text_path is not None:
                fields = _with_text(fields, text_path)
            return Record(
                self._id(fields, raw),
                self._timestamp_ms(fields, raw),
                fields,
                raw.partition,
                raw.offset,
            )
        except _Rejected as rejected:
            return self.refuse(raw, rejected.reason, str(rejected))

    def refuse(self, raw: Raw, reason: Reason, detail: str) -> DeadLetter:
        """Keep an input that is no record, with the reason; of a large one only the beginning."""
        return _dead_letter(raw, reason, detail, self._limits.dead_letter_bytes)

    def _fields(self, raw: Raw) -> Mapping[str, Any]:
        value = raw.value
        if not value:
            raise _Rejected(Reason.EMPTY, "nothing in it")
        if not isinstance(value, bytes):
            return _checked(value, self._limits.max_record_bytes)
        if len(value) > self._limits.max_record_bytes:
            raise _too_large(len(value), self._limits.max_record_bytes)
        if b"\0" in value or (rb"\u0000" in value and _ESCAPED_NUL.search(value)):
            raise _Rejected(Reason.NUL_BYTE, "a NUL byte: databases cannot keep it in a text")
        try:
            fields = self._decoder.decode(value)
        except msgspec.DecodeError as error:
            raise _Rejected(_why_undecodable(value), str(error)) from error
        except UnicodeDecodeError as error:
            raise _Rejected(Reason.NOT_UTF8, str(error)) from error
        except RecursionError as error:
            raise _Rejected(Reason.NOT_JSON, "nested too deeply") from error
        if value.count(b"[") + value.count(b"{") > MAX_NESTING and _deeper(fields, MAX_NESTING):
            raise _Rejected(Reason.NOT_JSON, "nested too deeply")
        if not isinstance(fields, dict):
            detail = f"a JSON {type(fields).__name__}, not an object"
            raise _Rejected(Reason.NOT_AN_OBJECT, detail)
        return fields

    def _id(self, fields: Mapping[str, Any], raw: Raw) -> str:
        path = self._mapping.id
        if path is None:
            return f"{raw.partition}:{raw.offset}"
        value = lookup(fields, path)
        if value is None or value == "":
            raise _Rejected(Reason.MISSING_ID, f"no value at '{path}' (record.id)")
        if isinstance(value, bool) or not isinstance(value, str | int):
            detail = f"'{path}' (record.id) is {type(value).__name__}, not a text or an integer"
            raise _Rejected(Reason.WRONG_TYPE, detail)
        return str(value)

    def _timestamp_ms(self, fields: Mapping[str, Any], raw: Raw) -> int:
        path = self._mapping.timestamp
        value = raw.timestamp_ms if path == SOURCE_TIMESTAMP else lookup(fields, path)
        if value is None:
            raise _Rejected(Reason.MISSING_TIMESTAMP, f"no value at '{path}' (record.timestamp)")
        ms = _to_ms(value, path)
        if ms < 0:
            raise _Rejected(Reason.BAD_TIMESTAMP, f"'{path}' lies before 1970: {value!r}")
        if ms > self._clock() + self._limits.max_skew:
            detail = f"'{path}' lies further ahead of now than limits.max_skew: {value!r}"
            raise _Rejected(Reason.FUTURE_TIMESTAMP, detail)
        return ms


def _why_undecodable(value: bytes) -> Reason:
    try:
        value.decode()
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    return Reason.NOT_JSON


def _too_large(size: int, limit: int) -> _Rejected:
    return _Rejected(Reason.TOO_LARGE, f"{size} bytes; limits.max_record_bytes is {limit}")


def _deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested more than *levels* deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(child, levels - 1) for child in inner)


def _checked(fields: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """Hold the fields of CSV and Parquet to what bytes are held to."""
    size = 0
    for name, value in fields.items():
        for text in _texts((name, value)):
            if isinstance(text, str) and "\0" in text:
                raise _Rejected(Reason.NUL_BYTE, f"a NUL character in '{name}'")
            size += len(text)
    if size > limit:
        raise _too_large(size, limit)
    return fields


def _texts(value: Any) -> Iterator[str | bytes]:
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.items()))
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _texts(child)


def _with_text(fields: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    text = lookup(fields, path)
    if text is not None and not isinstance(text, str):
        detail = f"'{path}' (record.text) is {type(text).__name__}, not a text"
        raise _Rejected(Reason.WRONG_TYPE, detail)
    return fields if path == "text" else {**fields, "text": text}


def _to_ms(value: Any, path: str) -> int:
    """Read ISO-8601, epoch seconds or epoch milliseconds; or a datetime of CSV and Parquet."""
    try:
        if isinstance(value, str):
            if not _EPOCH_TEXT.fullmatch(value):
                return from_iso(value)
            value = float(value) if "." in value else int(value)
        if isinstance(value, datetime):
            return from_iso(value.replace(tzinfo=value.tzinfo or UTC).isoformat())
        if isinstance(value, int | float) and not isinstance(value, bool):
            # By whole microseconds: 1.001 * 1000 is a little less than 1001.
            seconds = abs(value) < _SECONDS_UP_TO
            return round(value * 1_000_000) // 1000 if seconds else int(value)
    except (ValueError, OverflowError) as error:
        detail = f"'{path}' is not ISO-8601 or epoch seconds/milliseconds: {value!r:.80}"
        raise _Rejected(Reason.BAD_TIMESTAMP, detail) from error
    detail = f"'{path}' is {type(value).__name__}, not a time"
    raise _Rejected(Reason.BAD_TIMESTAMP, detail)


def _dead_letter(raw: Raw, reason: Reason, detail: str, most_bytes: int) -> DeadLetter:
    value = raw.value
    payload = value if isinstance(value, bytes) else _as_json(value)
    # PostgreSQL refuses NUL in texts, and details quote the input.
    shown = detail.replace("\0", "\\0").encode("utf-8", "replace").decode()
    return DeadLetter(
        raw.partition,
        raw.offset,
        str(reason),
        shown,
        payload[:most_bytes],
        len(payload),
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
