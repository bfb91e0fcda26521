"""Record batches of Kafka, read in less time than kafka-python takes.

Most of the time of a poll goes into calls: in kafka-python 3.0.12 seven for the numbers of each
record, and one for each of its properties, which are asked for a dozen times. Here a record has
plain attributes, and is read in one loop. What is no record is refused as there.

The format: https://kafka.apache.org/documentation/#record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

Headers = list[tuple[str, bytes | None]]

_LONG: Final = 0x80
"""A number whose first byte is below is of that byte alone."""

_NO_KEY: Final = 1
"""−1 as it is written (ZigZag)."""


class Plain(msgspec.Struct, gc=False):
    """One record, as kafka-python's ``DefaultRecord``."""

    size_in_bytes: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    checksum: None = None

    def validate_crc(self) -> bool:
        """Say yes: the checksum is the batch's."""
        return True


class Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch whose records are ``Plain``."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Plain]:
        """Yield the records; CorruptRecordError in place of one that is broken."""
        self._maybe_uncompress()
        try:
            yield from self._records()
        except (ValueError, IndexError) as error:
            msg = f"Found invalid record structure: {error!r}"
            raise CorruptRecordError(msg) from error

    def _records(self) -> Iterator[Plain]:
        buffer, at, number = bytes(self._buffer), self._pos, decode_varint
        base, first, kind = self.base_offset, self.first_timestamp, self.timestamp_type
        appended = self.max_timestamp if kind == self.LOG_APPEND_TIME else None
        for _ in range(self._num_records):
            size, start = number(buffer, at)
            # The attributes of a record are not in use.
            at = start + 1 if buffer[start] < _LONG else number(buffer, start)[1]
            delta, at = number(buffer, at)
            offset, at = number(buffer, at)
            key, at = (None, at + 1) if buffer[at] == _NO_KEY else _bytes(buffer, at)
            length, at = number(buffer, at)
            value, at = (buffer[at : at + length], at + length) if length >= 0 else (None, at)
            headers, at = _headers(buffer, at) if buffer[at] else ([], at + 1)
            if at - start != size:
                msg = f"Invalid record size: {size} bytes, but {at - start} were read"
                raise CorruptRecordError(msg)
            timestamp = first + delta if appended is None else appended
            yield Plain(size, base + offset, timestamp, kind, key, value, headers)
        if at != len(buffer):
            msg = f"{len(buffer) - at} bytes are left after all records"
            raise CorruptRecordError(msg)


def _bytes(buffer: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    return (buffer[at : at + length], at + length) if length >= 0 else (None, at)


def _headers(buffer: bytes, at: int) -> tuple[Headers, int]:
    """Return the headers that begin there, and where they end."""
    count, at = decode_varint(buffer, at)
    found: Headers = []
    for _ in range(count):
        name, at = _bytes(buffer, at)
        value, at = _bytes(buffer, at)
        if name is None:
            break
        found.append((name.decode(), value))
    if count < 0 or len(found) < count:
        msg = f"Found invalid headers: {count}"
        raise CorruptRecordError(msg)
    return found, at


def quick(batch: Any, content: bytes | memoryview) -> Any:
    """Return a batch of those bytes that reads quickly, if it is of Kafka 0.11 or later."""
    return Batch(content) if type(batch) is DefaultRecordBatch else batch
