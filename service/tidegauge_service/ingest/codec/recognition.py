"""What bytes that are no record probably are, and what to set: the detail of a dead letter.

Only what failed to decode comes here, so it may cost a little. A guess never makes a record of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

_COMPRESSED: Final[dict[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x82SNAPPY\0": "snappy",
    b"\xff\x06\0\0sNaPpY": "snappy",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")

_FILES: Final[dict[bytes, str]] = {
    b"Obj\x01": "an Avro container file: send one Avro record per message instead",
    b"PAR1": "a Parquet file: use a source of kind `file`",
    b"\xac\xed\0\x05": "a serialized Java object: send JSON, MessagePack or Avro instead",
}

_HEADER: Final = 5
"""The framing that schema registries use: a zero byte, then four bytes of schema id."""

_FIRST_ID_BYTE: Final = 1
"""Zero in ids below 2^24. In big-endian UTF-16, this byte is part of the first character of
JSON."""

_MAPS: Final = frozenset(bytes([first]) for first in (*range(0x80, 0x90), 0xDE, 0xDF))
"""First bytes of a MessagePack map."""

_GLUE_HEADER: Final = 18
_SPACE: Final = b" \t\r\n"
_OPENS: Final = b'{["' + _SPACE


def likely(value: bytes, wanted: str) -> str:
    """Return what *value* looks like and what to do about it; empty if it looks like nothing.

    *wanted*: `record.format`, which it does not have.

    >>> likely(bytes([0, 0, 0, 0, 7, 2, 97]), "json")[:47]
    'it looks like Avro with schema id 7 in front: s'
    """
    found = next((text for look in _LOOKS if (text := look(value, wanted))), "")
    return f"it looks like {found}" if found else ""


def encoding(value: bytes) -> str:
    """Return which encoding other than UTF-8 a JSON text seems to have; empty if none."""
    found = _unicode(value) or _latin(value)
    return f"it looks like {found}: make the producer write UTF-8" if found else ""


def _compressed(value: bytes, _wanted: str) -> str:
    names = (name for magic, name in _COMPRESSED.items() if value.startswith(magic))
    name = next(names, "zlib" if value.startswith(_ZLIB) else "")
    advice = (
        "make the producer send the value uncompressed, and compress with Kafka's compression.type"
    )
    return f"{name} data: {advice}" if name else ""


def _file(value: bytes, _wanted: str) -> str:
    return next((text for magic, text in _FILES.items() if value.startswith(magic)), "")


def _framed(value: bytes, wanted: str) -> str:
    """Recognise the framing of Confluent's registry, and of AWS Glue's."""
    if len(value) > _GLUE_HEADER and value[0] == 3 and value[1] in (0, 5):  # noqa: PLR2004
        return "a value in the framing of the AWS Glue registry, which is not supported"
    if len(value) <= _HEADER or value[0] or value[_FIRST_ID_BYTE]:
        return ""
    number = int.from_bytes(value[1:_HEADER], "big")
    if not number:
        return ""
    if value[_HEADER : _HEADER + 1] in (b"{", b"["):
        return (
            f"JSON prefixed with schema id {number} (Confluent's JSON Schema "
            "serializer): make the producer write plain JSON"
        )
    if wanted == "avro":
        return f"Avro prefixed with schema id {number}: set record.schema_registry, not avro_schema"
    return (
        f"Avro prefixed with schema id {number}: set record.format: avro and "
        "record.schema_registry (Protobuf has the same framing and is not supported)"
    )


def _marked(value: bytes, _wanted: str) -> str:
    marked = value.startswith(b"\xef\xbb\xbf")
    return "JSON after a byte-order mark: write UTF-8 without one" if marked else ""


def _unicode(value: bytes) -> str:
    if value.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")) or value[:4:3] == b"\0{":
        return "UTF-32"
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    little, big = value[1:4:2] == b"\0\0", value[0:3:2] == b"\0\0"
    if (little and value[0] in _OPENS) or (big and value[1] in _OPENS):
        return "UTF-16"
    return ""


def _messagepack(value: bytes, wanted: str) -> str:
    if wanted == "msgpack" or value[:1] not in _MAPS or not _decodes(msgspec.msgpack.decode, value):
        return ""
    return "MessagePack: set record.format: msgpack"


def _json(value: bytes, wanted: str) -> str:
    if wanted == "json" or value.lstrip(_SPACE)[:1] != b"{":
        return ""
    return "JSON: set record.format: json" if _decodes(msgspec.json.decode, value) else ""


def _latin(value: bytes) -> str:
    if value.lstrip(_SPACE)[:1] not in (b"{", b"[", b'"') or _decodes(bytes.decode, value):
        return ""
    text = value.decode("latin-1").encode()
    if not _decodes(msgspec.json.decode, text):
        return ""
    return "JSON in Latin-1 or Windows-1252"


def _python(value: bytes, wanted: str) -> str:
    """Recognise what Python's json and str write that is no JSON."""
    if wanted != "json" or value.lstrip(_SPACE)[:1] != b"{":
        return ""
    if value.lstrip(_SPACE)[1:].lstrip(_SPACE)[:1] == b"'":
        return "a Python dict written with str(): write it with json.dumps"
    if b"NaN" in value or b"Infinity" in value:
        return "JSON with NaN or Infinity, which JSON does not allow: write null instead"
    return ""


def _base64(value: bytes, _wanted: str) -> str:
    return "JSON in base64: make the producer send the JSON itself" if value[:3] == b"eyJ" else ""


def _bson(value: bytes, _wanted: str) -> str:
    whole = int.from_bytes(value[:4], "little") == len(value) and value[-1:] == b"\0"
    return "BSON: send JSON, MessagePack or Avro instead" if whole else ""


def _protobuf(value: bytes, _wanted: str) -> str:
    """Recognise Protobuf: fields to the last byte, and a byte that no text has."""
    binary = any(byte < 0x20 and byte not in _SPACE for byte in value[:64])  # noqa: PLR2004
    if not (binary and _is_protobuf(value)):
        return ""
    return "Protobuf, which is not supported: send JSON, MessagePack or Avro instead"


def _is_protobuf(value: bytes) -> bool:
    at = 0
    while at < len(value):
        tag, at = _varint(value, at)
        kind = tag & 7
        if not tag >> 3 or kind not in (0, 1, 2, 5):
            return False
        if kind == 0:
            _, at = _varint(value, at)
        elif kind == 2:  # noqa: PLR2004  (a length, then so many bytes)
            length, at = _varint(value, at)
            at += length
        else:
            at += 8 if kind == 1 else 4
    return at == len(value)


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """Return a varint and where it ends; behind the end of *value* if it is none."""
    number = 0
    for place, byte in enumerate(value[at : at + 10]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a varint)
            return number, at + place + 1
    return 0, len(value) + 1


def _binary(value: bytes, wanted: str) -> str:
    if wanted != "json" or value[:1] in (b"{", b"[", b'"'):
        return ""
    binary = sum(byte < 0x20 and byte not in _SPACE for byte in value[:64])  # noqa: PLR2004
    return "binary data: check record.format (json, msgpack, avro)" if binary > 1 else ""


_LOOKS: Final[tuple[Callable[[bytes, str], str], ...]] = (
    _compressed, _file, _framed, _marked, _messagepack, _json, _python, _base64, _bson, _protobuf,
    _binary,
)  # fmt: skip
"""The surest first."""


def _decodes(decode: Callable[[bytes], Any], value: bytes) -> bool:
    try:
        decode(value)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return False
    return True


def not_an_object(fields: Any) -> str:
    """Return what a JSON value that is no object probably is; empty if there is nothing to say."""
    if isinstance(fields, list) and fields and isinstance(fields[0], dict):
        return f"{len(fields)} records in one value: make the producer send one record per message"
    if not isinstance(fields, str):
        return ""
    if fields.lstrip().startswith(("{", "[")):
        return (
            "JSON that was encoded twice: make the producer send the object, not a "
            "string that contains it"
        )
    text = _base64(fields[:3].encode("utf-8", "replace"), "json")
    return f"it looks like {text}" if text else ""
