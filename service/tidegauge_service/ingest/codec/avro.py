"""Avro: with the id of a schema in front, as schema registries have it, or with one schema.

The wire format: a zero byte, four bytes of schema id (big-endian), the Avro binary encoding.
Records are read with the schema that they were written with.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException

from tidegauge_service.config.stream_file import RecordMapping
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec import recognition
from tidegauge_service.ingest.codec.formats import as_fields
from tidegauge_service.ingest.codec.rejection import DeadLetterReason, Rejected
from tidegauge_service.ingest.codec.schema_registry import NoSuchSchema, Registry

HEADER: Final = 5

REFUSED_S: Final = 30.0
"""After a failed fetch, a schema is requested again only after this long, not for every record."""

MOST_REFUSED: Final = 1_000
"""Number of failed schemas to remember."""

Schema = Any
"""A schema as fastavro parses it."""


class WithOneSchema:
    """Bare Avro: every record was written with the same schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def fields(self, value: bytes) -> Mapping[str, Any]:
        """Return the record's fields."""
        return _read(value, 0, self._schema)


class WithRegistry:
    """Each record names its schema, which is asked for once. Not thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[int, Schema] = {}
        self._refused: dict[int, tuple[float, str]] = {}

    def fields(self, value: bytes) -> Mapping[str, Any]:
        """Return the record's fields; SourceError if the registry does not answer."""
        if len(value) < HEADER or value[0] != 0:
            guess = recognition.likely(value, "avro")
            detail = (
                "no schema id at the start: the value begins with "
                f"{value[:HEADER].hex()}, not with 00"
            )
            detail = f"{detail}; {guess}" if guess else detail
            raise Rejected(DeadLetterReason.NOT_AVRO, detail)
        number = int.from_bytes(value[1:HEADER], "big")
        schema = self._known.get(number)
        if schema is None:
            schema = self._known[number] = self._ask(number)
        return _read(value, HEADER, schema)

    def _ask(self, number: int) -> Schema:
        until, why = self._refused.get(number, (0.0, ""))
        if time.monotonic() < until:
            raise Rejected(DeadLetterReason.UNKNOWN_SCHEMA, why)
        try:
            found, needed = self._registry.schema(number)
            return parse(found, needed)
        except (NoSuchSchema, ValueError) as error:
            why = f"schema {number} cannot be used: {error}"
            if len(self._refused) >= MOST_REFUSED:  # every record may name another one
                self._refused.clear()
            self._refused[number] = (time.monotonic() + REFUSED_S, why)
            raise Rejected(DeadLetterReason.UNKNOWN_SCHEMA, why) from error


def parse(text: str, needed: list[str]) -> Schema:
    """Return a parsed schema; *needed* are those that it refers to, in order. Raises ValueError."""
    named: dict[str, Any] = {}
    try:
        for other in needed:
            fastavro.parse_schema(json.loads(other), named_schemas=named)
        schema = fastavro.parse_schema(json.loads(text), named_schemas=named)
    except (SchemaParseException, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"not a valid Avro schema: {error!r}"
        raise ValueError(msg) from error
    _refuse_empty_items(json.loads(text))
    return schema


def _refuse_empty_items(schema: Any) -> None:
    """Refuse arrays of what takes no bytes: a count of 2^60 of them would never be read to its end.

    Raises ValueError.
    """
    if isinstance(schema, list):
        for branch in schema:
            _refuse_empty_items(branch)
    elif isinstance(schema, dict):
        items = schema.get("items")
        empty = isinstance(items, dict) and items.get("type") == "record" and not items["fields"]
        if items in ("null", {"type": "null"}) or empty:
            msg = "it has an array whose items take no bytes"
            raise ValueError(msg)
        for key in ("fields", "type", "items", "values"):
            _refuse_empty_items(schema.get(key))


def _read(value: bytes, start: int, schema: Schema) -> Mapping[str, Any]:
    stream = io.BytesIO(value)
    stream.seek(start)
    try:
        found = fastavro.schemaless_reader(stream, schema, None)
    except Exception as error:  # it raises many kinds, and what the bytes hold is anybody's
        raise _misfit(
            value, start, f"the record does not match its schema: {error!r:.200}"
        ) from error
    if left := len(value) - stream.tell():
        raise _misfit(value, start, f"{left} extra bytes after the record")
    return as_fields(found, "an Avro", DeadLetterReason.NOT_AVRO)


def _misfit(value: bytes, start: int, why: str) -> Rejected:
    """Return the verdict; what stands behind a schema id is not guessed at."""
    guess = "" if start else recognition.likely(value, "avro")
    return Rejected(DeadLetterReason.NOT_AVRO, f"{why}; {guess}" if guess else why)


def open_avro(
    mapping: RecordMapping, password: str | None, folder: Path
) -> WithOneSchema | WithRegistry:
    """Return how Avro is read; SettingsError if the file of the schema is not right."""
    if mapping.schema_registry is not None:
        return WithRegistry(Registry(mapping.schema_registry, password, folder))
    path = folder / str(mapping.avro_schema)
    try:
        return WithOneSchema(parse(path.read_text(encoding="utf-8"), []))
    except OSError as error:
        msg = f"cannot read record.avro_schema {path}: {error.strerror or error}"
        raise SettingsError(msg) from error
    except ValueError as error:
        msg = f"record.avro_schema {path}: {error}"
        raise SettingsError(msg) from error
