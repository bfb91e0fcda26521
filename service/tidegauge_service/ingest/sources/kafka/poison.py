"""Record batches that kafka-python cannot read: skipped exactly, and reported.

In kafka-python 3.0.12 an error while a batch is unpacked (its CRC is wrong, its codec is not
installed, its bytes are no records) is raised by ``poll`` once; the generator behind it is dead
then, and the next ``poll`` asks it for records for ever, at full CPU. Here the error ends where
it happens: in place of the records that the batch held come as many inputs with a fault, the
position moves past the batch, and the batches after it are read as ever.

``poll`` gives ``Raw`` here, made where the bytes are read.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer.offsets import IsolationLevel

from tidegauge_service.ingest.sources.kafka.batches import KafkaBatch, inputs_of, quick
from tidegauge_service.ingest.sources.source import Raw, weight

# Of the header of a batch (https://kafka.apache.org/documentation/#recordbatch), from its start:
_BASE_OFFSET: Final = struct.Struct(">q")
_LAST_OFFSET_DELTA: Final = struct.Struct(">i")
_LAST_OFFSET_DELTA_AT: Final = 23
_COUNT: Final = struct.Struct(">i")
_COUNT_AT: Final = 57
_MAGIC_AT: Final = 16
_HEADER_BYTES: Final = 61
_SMALLEST: Final = 26
"""The message format before Kafka 0.11, which had no batches (magic 0 and 1)."""


@dataclass
class Allowance:
    """How many bytes of inputs the present poll may still bring; and a batch inflate to."""

    batch_bytes: int
    left: int = 0

    def spend(self, raw: Raw) -> bool:
        """Take an input; return whether there is room for another."""
        self.left -= weight(raw)
        return self.left > 0


def tolerate(consumer: KafkaConsumer, allowance: Allowance) -> None:
    """Let ``poll`` give ``Raw``: with a fault, where it raised, and then spun.

    A poll ends with the input that uses up *allowance*; what was fetched and not taken comes next.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetcher.PartitionRecords = partial(_Records, highwater=consumer.highwater, allowance=allowance)
    append = fetcher._append  # noqa: SLF001

    def append_within(drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:  # noqa: FBT001
        taken = append(drained, part, max_records, update_offsets)
        return int(taken) if allowance.left > 0 else max_records  # as if it were full

    fetcher._append = append_within  # noqa: SLF001


class _NoBatch(Exception):  # noqa: N818  (never leaves this module)
    """The bytes that follow are no batch: nobody knows where the next one begins."""


class _Batches:
    """What was fetched of a partition, batch by batch; remembers the bytes of the last one."""

    def __init__(self, records: Any, most_bytes: int) -> None:
        self._records = records
        self._most_bytes = most_bytes
        self.last: bytes | memoryview = b""

    @property
    def next_base_offset(self) -> int | None:
        """Where the batch after the last one begins, if it was fetched too."""
        following = self._records._next_slice  # noqa: SLF001
        if following is None or len(following) < _SMALLEST:
            return None
        return int(_BASE_OFFSET.unpack_from(following)[0])

    def next_batch(self) -> Any:
        following = self._records._next_slice  # noqa: SLF001
        if following is not None:
            # A length below zero leads to before the beginning, and there for ever.
            if len(following) < _SMALLEST or self._records._pos < len(following):  # noqa: SLF001
                raise _NoBatch
            self.last = following
        return quick(self._records.next_batch(), self.last, self._most_bytes)


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one response."""

    def __init__(
        self,
        *args: Any,
        highwater: Callable[[TopicPartition], int | None],
        allowance: Allowance,
        **kwargs: Any,
    ) -> None:
        self._highwater = highwater
        self._allowance = allowance
        super().__init__(*args, **kwargs)

    def take(self, n: int | None = None) -> list[Raw]:
        """Return the next inputs: one at least, and no more after the last that is allowed.

        Nothing is raised while they are unpacked: what cannot be read comes as an input, too.
        """
        taken: list[Raw] = []
        for raw in itertools.islice(self.record_iterator, n):
            taken.append(raw)
            if not self._allowance.spend(raw):
                break
        return taken

    def _unpack_records(self, tp: TopicPartition, records: Any, *_deserializers: Any) -> Any:
        batches = _Batches(records, self._allowance.batch_bytes)
        while True:
            try:
                yield from self._inputs(tp, batches)
            except _NoBatch:
                self.drain()  # asked for again from here, the broker will say what it has
                return
            except Exception as error:  # noqa: BLE001  (it reads foreign bytes: anything may come)
                yield from self._instead(tp, batches, error)
            else:
                self.drain()
                return

    def _inputs(self, tp: TopicPartition, batches: _Batches) -> Iterator[Raw]:
        while (batch := batches.next_batch()) is not None:
            if not batch.validate_crc():
                msg = f"the batch at offset {batch.base_offset} failed its CRC check"
                raise CorruptRecordError(msg)
            modern = type(batch) is KafkaBatch
            if modern:
                self.leader_epoch = batch.leader_epoch
            if not (modern and self._hidden(batch)):
                for one in inputs_of(batch, tp.partition):
                    self.next_fetch_offset = one.offset + 1
                    yield one
            if modern:
                self.next_fetch_offset = batch.next_offset  # its last records may be compacted away

    def _hidden(self, batch: Any) -> bool:
        """Whether a batch is no data: markers of transactions, and what was aborted."""
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _instead(self, tp: TopicPartition, batches: _Batches, error: Exception) -> Iterator[Raw]:
        """Give an input with a fault for each offset of the batch that was not read.

        The first holds the batch's bytes.
        """
        first, last = self._span(tp, batches, error)
        why = f"offsets {first}-{last}: {type(error).__name__}: {error}"
        for offset in range(first, last + 1):
            self.next_fetch_offset = offset + 1
            kept = bytes(batches.last) if offset == first else b""
            yield Raw(tp.partition, offset, kept, fault=why)

    def _span(self, tp: TopicPartition, batches: _Batches, error: Exception) -> tuple[int, int]:
        """Return the first and last offset to skip.

        Where the CRC is wrong the header may be what is broken: a span never reaches into the
        next batch, nor past the end of the partition. The last span goes on by one at least, or
        the same would be fetched for ever.
        """
        [base], delta, doubtful = _BASE_OFFSET.unpack_from(batches.last), 0, False
        if len(batches.last) >= _HEADER_BYTES and batches.last[_MAGIC_AT] > 1:
            [delta] = _LAST_OFFSET_DELTA.unpack_from(batches.last, _LAST_OFFSET_DELTA_AT)
            [count] = _COUNT.unpack_from(batches.last, _COUNT_AT)
            doubtful = isinstance(error, CorruptRecordError) and delta != count - 1
            delta = min(delta, count - 1) if doubtful else delta
        following = batches.next_base_offset
        last = following - 1 if doubtful and following is not None else base + delta
        ends = [end - 1 for end in (following, self._highwater(tp)) if end is not None]
        first = max(base, self.fetch_offset, self.next_fetch_offset)
        last = min([last, *ends])
        return first, last if following is not None else max(first, last)
