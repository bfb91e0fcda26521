"""Record batches of Kafka, read in less time than kafka-python takes.

Most of the time of a poll goes into calls: in kafka-python 3.0.12 seven for the numbers of each
record, and one for each of its properties, which are asked for a dozen times; and a record is made
twice. Here an input is made of the bytes in one loop. What is no record is refused as there.

The format: https://kafka.apache.org/documentation/#record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

from tidegauge_service.ingest.sources.kafka.inflation import inflate
from tidegauge_service.ingest.sources.source import Raw

_LONG: Final = 0x80
"""A varint whose first byte is below this is that byte alone."""

_NO_KEY: Final = 1
"""−1 as a ZigZag varint."""


class KafkaBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch of Kafka 0.11 or later."""

    _buffer: Any
    _pos: int
    _decompressed: bool

    def __init__(self, content: bytes | bytearray | memoryview, most_bytes: int) -> None:
        """Read a batch; TooLarge when it is asked for records that inflate to more bytes."""
        super().__init__(content)
        self.most_bytes = most_bytes

    def _maybe_uncompress(self) -> None:
        if not self._decompressed and self.compression_type != self.CODEC_NONE:
            self._assert_has_codec(self.compression_type)
            packed = bytes(memoryview(self._buffer)[self._pos :])
            self._buffer = inflate(self.compression_type, packed, self.most_bytes)
            self._pos = 0
        self._decompressed = True

    def inputs(self, partition: int) -> Iterator[Raw]:
        """Yield the records; CorruptRecordError in place of one that is broken."""
        self._maybe_uncompress()
        buffer, at, number = bytes(self._buffer), self._pos, decode_varint
        base, first = self.base_offset, self.first_timestamp
        appended = self.max_timestamp if self.timestamp_type == self.LOG_APPEND_TIME else None
        try:
            for _ in range(self._num_records):
                size, start = number(buffer, at)
                # The attributes of a record are not in use.
                at = start + 1 if buffer[start] < _LONG else number(buffer, start)[1]
                delta, at = number(buffer, at)
                offset, at = number(buffer, at)
                at = at + 1 if buffer[at] == _NO_KEY else _skip(buffer, at)
                length, at = number(buffer, at)
                value, at = (buffer[at : at + length], at + length) if length >= 0 else (None, at)
                at = _skip_headers(buffer, at) if buffer[at] else at + 1
                _check(at - start == size, "a record has the wrong size")
                when = first + delta if appended is None else appended
                yield Raw(partition, base + offset, value, when)
            _check(at == len(buffer), "extra bytes after the last record")
        except (ValueError, IndexError) as error:
            msg = f"Found invalid record structure: {error!r}"
            raise CorruptRecordError(msg) from error


def _skip(buffer: bytes, at: int) -> int:
    """Return where the bytes end that begin there with their length; below zero: there are none."""
    length, start = decode_varint(buffer, at)
    end: int = start + max(length, 0)
    return end


def _skip_headers(buffer: bytes, at: int) -> int:
    count, at = decode_varint(buffer, at)
    _check(count >= 0, "the number of headers is negative")
    for _ in range(count):
        length, at = decode_varint(buffer, at)
        _check(length >= 0, "a header has no name")
        buffer[at : at + length].decode()  # as kafka-python does: what is no text is broken
        at = _skip(buffer, at + length)
    return at


def _check(holds: bool, otherwise: str) -> None:  # noqa: FBT001  (what is asked is read aloud)
    if not holds:
        raise ValueError(otherwise)


def quick(batch: Any, content: bytes | memoryview, most_bytes: int) -> Any:
    """Return a batch of those bytes that reads quickly, if it is of Kafka 0.11 or later.

    *most_bytes*: what its records may inflate to.
    """
    return KafkaBatch(content, most_bytes) if type(batch) is DefaultRecordBatch else batch


def inputs_of(batch: Any, partition: int) -> Iterator[Raw]:
    """Return the records of a batch; CorruptRecordError in place of one that is broken."""
    return batch.inputs(partition) if type(batch) is KafkaBatch else _older(batch, partition)


def _older(batch: Any, partition: int) -> Iterator[Raw]:
    """Yield records of before Kafka 0.11: each has a checksum of its own."""
    for record in batch:
        if not record.validate_crc():
            msg = f"the record at offset {record.offset} failed its CRC check"
            raise CorruptRecordError(msg)
        yield Raw(partition, record.offset, record.value, record.timestamp)
