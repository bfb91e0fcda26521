"""A dead letter says what the bytes probably are, and what to set."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import zlib
from typing import Any

import kafka.codec
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_service.config.stream_file import Limits, RecordMapping
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.formats import MessagePack
from tidegauge_service.ingest.codec.recognition import likely
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest.dead_letter import DeadLetter

RECORD = {"id": "a", "timestamp": 1_584_270_000, "text": "crème brûlée for everybody"}
JSON = json.dumps(RECORD, ensure_ascii=False).encode()
FRAME = b"\0\0\0\0\x11"
AVRO = b"\x02a\x80\x9c\xf4\xe6\x0b\x34some text of twenty-six by"

LOOKS: dict[str, tuple[bytes, str, str]] = {
    "Confluent's Avro": (FRAME + AVRO, "not_json", "set record.format: avro and record.schema_reg"),
    "Confluent's JSON Schema": (FRAME + JSON, "not_json", "prefixed with schema id 17.*plain JSON"),
    "AWS Glue's": (b"\x03\0" + bytes(range(16)) + AVRO, "not_json", "AWS Glue registry"),
    "gzip": (gzip.compress(JSON), "not_json", "gzip data: .*compression.type"),
    "zstd": (kafka.codec.zstd_encode(JSON), "not_json", "zstd data"),
    "lz4": (kafka.codec.lz4_encode(JSON), "not_json", "lz4 data"),
    "framed snappy": (b"\xff\x06\0\0sNaPpY" + JSON, "not_json", "snappy data"),
    "xerial snappy": (kafka.codec.snappy_encode(JSON), "not_json", "snappy data"),
    "zlib": (zlib.compress(JSON), "not_json", "zlib data"),
    "bzip2": (bz2.compress(JSON), "not_json", "bzip2 data"),
    "xz": (lzma.compress(JSON), "not_json", "xz data"),
    "UTF-16": (JSON.decode().encode("utf-16"), "not_utf8", "UTF-16: .*write UTF-8"),
    "UTF-16-LE": (JSON.decode().encode("utf-16-le"), "not_utf8", "UTF-16"),
    "UTF-16-BE": (JSON.decode().encode("utf-16-be"), "not_utf8", "UTF-16"),
    "UTF-32": (JSON.decode().encode("utf-32"), "not_utf8", "UTF-32"),
    "UTF-16 of ASCII": ('{"id": "a"}'.encode("utf-16-le"), "not_utf8", "UTF-16"),
    "a byte-order mark": (b"\xef\xbb\xbf" + JSON, "not_json", "byte-order mark"),
    "Latin-1": (JSON.decode().encode("latin-1"), "not_utf8", "Latin-1 or Windows-1252"),
    "MessagePack": (msgspec.msgpack.encode(RECORD), "not_json", "set record.format: msgpack"),
    "Protobuf": (b"\x0a\x01a\x10\xf0\xc3\xb7\xf3\x05", "not_json", "Protobuf, which is not supp"),
    "BSON": (b"\x11\0\0\0\x02id\0\x02\0\0\0a\0\0\0\0\0"[:17], "not_json", "BSON"),
    "an Avro file": (b"Obj\x01\x04\x14avro.codec", "not_json", "Avro container file"),
    "Java": (b"\xac\xed\0\x05sr\0\x11java.util.HashMap", "not_json", "serialized Java object"),
    "a Python dict": (str(RECORD).encode(), "not_json", "json.dumps"),
    "NaN": (b'{"id": "a", "score": NaN}', "not_json", "write null instead"),
    "base64": (b"eyJpZCI6ICJhIn0=", "not_json", "JSON in base64"),
    "JSON twice": (
        json.dumps(JSON.decode()).encode(),
        "not_an_object",
        "JSON that was encoded twice",
    ),
    "base64 in JSON": (b'"eyJpZCI6ICJhIn0="', "not_an_object", "base64"),
    "a list of records": (b"[%b, %b]" % (JSON, JSON), "not_an_object", "2 records in one value"),
    "white space": (b" \r\n\t ", "empty", "white space"),
    "nothing": (b"", "empty", "nothing in it"),
    "binary": (b"\x07\x01\x02\x03\x04garbage", "not_json", "check record.format"),
    "a NUL in JSON": (b'{"id": "a\0b"}', "nul_byte", "a NUL byte"),
}


def refused(value: bytes, **how: Any) -> DeadLetter:
    codec = Codec(RecordMapping(), Limits(), lambda: 1_600_000_000_000, **how)
    decoded = codec.decode(Raw(0, 0, value))
    assert isinstance(decoded, DeadLetter)
    return decoded


@pytest.mark.parametrize("name", LOOKS)
def test_a_value_of_another_format_says_which_and_what_to_do(name: str) -> None:
    value, reason, says = LOOKS[name]
    letter = refused(value)
    assert letter.reason == reason
    assert re.search(says, letter.detail)


def test_json_where_messagepack_is_expected() -> None:
    letter = refused(JSON, format_=MessagePack())
    assert letter.reason == "not_msgpack"
    assert "set record.format: json" in letter.detail


def test_framed_avro_where_one_schema_is_expected() -> None:
    avro = pytest.importorskip("tidegauge_service.ingest.codec.avro")
    schema = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}]}
    one = avro.WithOneSchema(avro.parse(json.dumps(schema), []))
    letter = refused(FRAME + b"\x02a", format_=one)
    assert letter.reason == "not_avro"
    assert "set record.schema_registry, not avro_schema" in letter.detail
    assert "set record.format: json" in refused(JSON, format_=one).detail


def test_ordinary_broken_json_is_not_guessed_at() -> None:
    for value in (b"hello", b'{"id": "a"', b"{id: 1}", "é".encode("latin-1"), b"id,timestamp"):
        assert "looks like" not in refused(value).detail


def test_a_detail_is_short_however_long_the_input() -> None:
    far = b'{"id": "a", "timestamp": "99999999999999.' + b"0" * 500_000 + b'"}'
    letter = refused(far)
    assert letter.reason == "future_timestamp"
    assert len(letter.detail) <= 1_000


@given(st.binary(min_size=1), st.sampled_from(["json", "msgpack", "avro"]))
def test_no_bytes_raise(value: bytes, wanted: str) -> None:
    assert likely(value, wanted) == "" or likely(value, wanted).startswith("it looks like ")
