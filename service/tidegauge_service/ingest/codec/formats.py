"""From the bytes of an input to its fields: JSON, MessagePack, Avro."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from tidegauge_service.config.stream_file import RecordMapping
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec import recognition
from tidegauge_service.ingest.codec.rejection import DeadLetterReason, Rejected

MAX_NESTING: Final = 64
"""Maximum nesting of objects and lists. Python's recursion limit is not enough: a record could be
decoded here and then fail to be written a few calls deeper."""

_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
r"""An even number of backslashes before it are themselves escaped: ``\\u0000`` is text."""


class Format(Protocol):
    """How the bytes of a record are to be read."""

    def fields(self, value: bytes) -> Mapping[str, Any]:
        """Return the fields. Raises Rejected; SourceError if what it needs cannot be asked."""


class Json:
    """One JSON object."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder()

    def fields(self, value: bytes) -> Mapping[str, Any]:
        """Return the object's fields."""
        try:
            fields = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _undecodable(value, str(error)) from error
        except RecursionError as error:
            raise Rejected(DeadLetterReason.NOT_JSON, "nested too deeply") from error
        if value.find(b"\\") >= 0 and rb"\u0000" in value and _ESCAPED_NUL.search(value):
            raise _nul()
        if type(fields) is not dict:
            guess = recognition.not_an_object(fields)
            detail = f"a JSON {type(fields).__name__}, not an object"
            detail = f"{detail}: {guess}" if guess else detail
            raise Rejected(DeadLetterReason.NOT_AN_OBJECT, detail)
        if _may_be_deep(value) and deeper(fields, MAX_NESTING):
            raise Rejected(DeadLetterReason.NOT_JSON, "nested too deeply")
        return fields


def _may_be_deep(value: bytes) -> bool:
    """Tell cheaply, of every record, whether it has brackets enough for deep nesting."""
    if value.find(b"{", 1) < 0 and value.find(b"[") < 0:
        return False
    return value.count(b"[") + value.count(b"{") > MAX_NESTING


def _nul() -> Rejected:
    return Rejected(
        DeadLetterReason.NUL_BYTE,
        "it contains a NUL byte, which databases cannot store in a string",
    )


class MessagePack:
    """One MessagePack map with texts as keys."""

    def __init__(self) -> None:
        self._decoder = msgspec.msgpack.Decoder()

    def fields(self, value: bytes) -> Mapping[str, Any]:
        """Return the map's fields."""
        try:
            fields = self._decoder.decode(value)
        except msgspec.DecodeError as error:
            detail = _with_guess(value, "msgpack", str(error))
            raise Rejected(DeadLetterReason.NOT_MSGPACK, detail) from error
        except UnicodeDecodeError as error:
            raise Rejected(DeadLetterReason.NOT_UTF8, str(error)) from error
        except (RecursionError, TypeError) as error:  # TypeError: a map as the key of a map
            raise Rejected(DeadLetterReason.NOT_MSGPACK, str(error)) from error
        if not isinstance(fields, dict) and (guess := recognition.likely(value, "msgpack")):
            raise Rejected(DeadLetterReason.NOT_MSGPACK, guess)
        return as_fields(fields, "a MessagePack", DeadLetterReason.NOT_MSGPACK)


def as_fields(fields: Any, what: str, reason: DeadLetterReason) -> Mapping[str, Any]:
    """Hold decoded binary data to what JSON is held to; *reason* if it is nested too deeply."""
    if deeper(fields, MAX_NESTING):
        raise Rejected(reason, "nested too deeply")
    if not isinstance(fields, dict):
        detail = f"{what} {type(fields).__name__}, not a map of fields"
        raise Rejected(DeadLetterReason.NOT_AN_OBJECT, detail)
    for name in fields:
        if not isinstance(name, str):
            detail = f"a field name is {type(name).__name__}, not a string: {name!r:.80}"
            raise Rejected(DeadLetterReason.WRONG_TYPE, detail)
    size_of(fields)
    return fields


def size_of(fields: Mapping[str, Any]) -> int:
    """Return the length of all names and texts; Rejected if one of them has a NUL."""
    size = 0
    for name, value in fields.items():
        for text in _texts((name, value)):
            if isinstance(text, str) and "\0" in text:
                raise Rejected(
                    DeadLetterReason.NUL_BYTE,
                    f"'{name}' contains a NUL character, which databases cannot store in a string",
                )
            size += len(text)
    return size


def deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested more than *levels* deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper(child, levels - 1) for child in inner)


def _texts(value: Any) -> Iterator[str | bytes]:
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.items()))
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _texts(child)


def _undecodable(value: bytes, error: str) -> Rejected:
    """Return why a value is no JSON.

    What it is recognised as goes before the NUL in it: framed Avro, compressed data and UTF-16 are
    full of them, and "a NUL byte" would send people looking for one in a text.
    """
    if not value.strip():
        return Rejected(DeadLetterReason.EMPTY, "empty: only white space")
    if other := recognition.encoding(value):
        return Rejected(DeadLetterReason.NOT_UTF8, f"{error}; {other}")
    if guess := recognition.likely(value, "json"):
        return Rejected(DeadLetterReason.NOT_JSON, f"{error}; {guess}")
    if b"\0" in value:  # which JSON never holds
        return _nul()
    try:
        value.decode()
    except UnicodeDecodeError:
        return Rejected(DeadLetterReason.NOT_UTF8, error)
    return Rejected(DeadLetterReason.NOT_JSON, error)


def _with_guess(value: bytes, wanted: str, error: str) -> str:
    guess = recognition.likely(value, wanted)
    return f"{error}; {guess}" if guess else error


def open_format(mapping: RecordMapping, password: str | None, folder: Path) -> Format:
    """Return how the inputs of a stream are read; SettingsError says what to install or fix.

    *password*: of the schema registry, if the stream file has none. Paths start at *folder*.
    """
    if mapping.format == "json":
        return Json()
    if mapping.format == "msgpack":
        return MessagePack()
    try:
        from tidegauge_service.ingest.codec import avro  # noqa: PLC0415  (an extra)
    except ImportError as error:
        msg = "record.format: avro needs an extra package: pip install 'tidegauge[avro]'"
        raise SettingsError(msg) from error
    return avro.open_avro(mapping, password, folder)
