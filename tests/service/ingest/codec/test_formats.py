"""MessagePack and bare Avro: the fields, or why there are none. Never anything else."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.group import NOW
from tidegauge_probes.model import Record
from tidegauge_service.config.stream_file import Limits, RecordMapping
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec import avro
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.formats import Format, MessagePack, open_format
from tidegauge_service.ingest.codec.rejection import DeadLetterReason, Rejected
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest.dead_letter import DeadLetter

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "text", "type": ["null", "string"]},
        {
            "name": "price",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
        },
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
EVENT = {
    "id": "a1",
    "timestamp": datetime.fromtimestamp(NOW / 1000, UTC),
    "text": "check out",
    "price": Decimal("9.50"),
    "tags": ["x", "y"],
}


def encoded(record: dict[str, Any], schema: Any = SCHEMA) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, _force=True), record)
    return out.getvalue()


def one_schema(schema: Any = SCHEMA) -> Format:
    return avro.WithOneSchema(avro.parse(json.dumps(schema), []))


def decode(format_: Format, value: bytes) -> Record | DeadLetter:
    codec = Codec(RecordMapping(), Limits(), lambda: NOW, format_)
    return codec.decode(Raw(0, 7, value))


def test_avro_gives_the_fields_and_its_times_are_times() -> None:
    record = decode(one_schema(), encoded(EVENT))
    assert isinstance(record, Record)
    assert (record.id, record.timestamp_ms) == ("a1", NOW)
    assert record.fields == EVENT


def test_messagepack_gives_the_fields() -> None:
    fields = {"id": 5, "timestamp": NOW, "text": "ö", "nested": {"a": [1, None]}, "raw": b"\xff"}
    record = decode(MessagePack(), msgspec.msgpack.encode(fields))
    assert isinstance(record, Record)
    assert (record.id, record.timestamp_ms, record.fields) == ("5", NOW, fields)


@pytest.mark.parametrize(
    ("format_", "value", "reason"),
    [
        (MessagePack(), b"\xc1", DeadLetterReason.NOT_MSGPACK),
        (MessagePack(), msgspec.msgpack.encode({"id": "x"}) + b"!", DeadLetterReason.NOT_MSGPACK),
        (MessagePack(), b"\xa2\xff\xff", DeadLetterReason.NOT_UTF8),
        (MessagePack(), msgspec.msgpack.encode([1]), DeadLetterReason.NOT_AN_OBJECT),
        (MessagePack(), msgspec.msgpack.encode({1: "x"}), DeadLetterReason.WRONG_TYPE),
        (MessagePack(), msgspec.msgpack.encode({"id": "a\0b"}), DeadLetterReason.NUL_BYTE),
        (MessagePack(), b"\x81\xa1a" + b"\x91" * 100 + b"\xc0", DeadLetterReason.NOT_MSGPACK),
        (one_schema(), encoded(EVENT)[:-2], DeadLetterReason.NOT_AVRO),
        (one_schema(), encoded(EVENT) + b"\0", DeadLetterReason.NOT_AVRO),
        (one_schema(), encoded(EVENT | {"text": "a\0b"}), DeadLetterReason.NUL_BYTE),
        (one_schema("string"), encoded("text", "string"), DeadLetterReason.NOT_AN_OBJECT),  # type: ignore[arg-type]
        (one_schema(), b"", DeadLetterReason.EMPTY),
    ],
)
def test_what_is_no_record_is_kept_with_the_reason(
    format_: Format, value: bytes, reason: DeadLetterReason
) -> None:
    letter = decode(format_, value)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.payload) == (reason, value)


@given(st.binary(max_size=200))
def test_any_bytes_give_fields_or_a_reason(value: bytes) -> None:
    for format_ in (MessagePack(), one_schema()):
        try:
            fields = format_.fields(value)
        except Rejected:
            continue
        assert all(isinstance(name, str) for name in fields)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "rekord"}, "not a valid Avro schema"),
        ({"type": "array", "items": "null"}, "take no bytes"),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "a", "type": ["null", {"type": "array", "items": "null"}]}],
            },
            "take no bytes",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_the_stream_opens(
    tmp_path: Path, schema: Any, says: str
) -> None:
    (tmp_path / "event.avsc").write_text(json.dumps(schema))
    mapping = RecordMapping(format="avro", avro_schema="event.avsc")
    with pytest.raises(SettingsError, match=says):
        open_format(mapping, None, tmp_path)


def test_a_schema_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    mapping = RecordMapping(format="avro", avro_schema="event.avsc")
    with pytest.raises(SettingsError, match="cannot read"):
        open_format(mapping, None, tmp_path)
    (tmp_path / "event.avsc").write_text("{")
    with pytest.raises(SettingsError, match=r"event\.avsc"):
        open_format(mapping, None, tmp_path)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"format": "avro"}, "either schema_registry or avro_schema"),
        ({"avro_schema": "a.avsc"}, "is not used with"),
        ({"format": "msgpack", "schema_registry": {"url": "http://r"}}, "is not used with"),
        ({"format": "avro", "schema_registry": {"url": "http://me:secret@r"}}, "Without name"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says if says != "Without name" else "pattern"):
        RecordMapping.model_validate(keys)
