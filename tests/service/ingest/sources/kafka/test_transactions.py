"""What is data, and what is not, is decided as kafka-python decides it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer.offsets import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import ControlRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import calc_crc32c

from tests.service.group import NOW
from tidegauge_service.ingest.sources.kafka.poison import Allowance, _Records

TP = TopicPartition("t", 3)
CONTENT = DefaultRecordBatch.ATTRIBUTES_OFFSET
ABORT, COMMIT = 0, 1

steps = st.tuples(st.sampled_from([1, 2]), st.sampled_from(["plain", "in", "commit", "abort"]))
Log = tuple[bytes, list[SimpleNamespace], int]


def batch_at(offset: int, values: int, producer: int, *, within: bool, marker: int | None) -> bytes:
    """Return a batch of data, within a transaction or not; or the marker that ends one."""
    builder = MemoryRecordsBuilder(
        2, 0, 1 << 20, transactional=within, producer_id=producer, producer_epoch=0, base_sequence=0
    )
    for n in range(values):
        key = None if marker is None else ControlRecord.KEY_STRUCT.pack(0, marker)
        builder.append(NOW + n, key, b"value %d" % (offset + n), [])
    builder.close()
    batch = bytearray(builder.buffer())
    batch[:8] = offset.to_bytes(8, "big")
    if marker is not None:
        batch[CONTENT + 1] |= DefaultRecordBatch.CONTROL_MASK
        batch[CONTENT - 4 : CONTENT] = calc_crc32c(memoryview(batch)[CONTENT:]).to_bytes(4, "big")
    return bytes(batch)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Return the bytes of a partition, its aborted transactions, and its end."""
    parts, aborted, offset = [], [], 0
    begun: dict[int, int] = {}
    for producer, what in draw(st.lists(steps, max_size=12)):
        values, marker = draw(st.integers(1, 3)), None
        if what == "in":
            begun.setdefault(producer, offset)
        elif what in {"commit", "abort"}:
            first = begun.pop(producer, None)
            if first is None:
                continue
            values, marker = 1, ABORT if what == "abort" else COMMIT
            if what == "abort":
                aborted.append(SimpleNamespace(producer_id=producer, first_offset=first))
        within = what != "plain"
        parts.append(batch_at(offset, values, producer, within=within, marker=marker))
        offset += values
    return b"".join(parts), aborted, offset


def taken(kind: Any, log: Log, at: int, most: int, **more: Any) -> list[Any]:
    """Return what is read from *at* on, so many at a time, and where it goes on each time."""
    content, aborted, _ = log
    level = IsolationLevel.READ_COMMITTED
    records = kind(
        at, TP, MemoryRecords(content), isolation_level=level, aborted_transactions=aborted, **more
    )
    found: list[Any] = []
    while records.record_iterator is not None:
        found += [(one.partition, one.offset, one.value) for one in records.take(most)]
        found.append(records.next_fetch_offset)
    return found


@given(logs(), st.integers(0, 40), st.integers(1, 5))
def test_transactions_are_read_as_by_kafka_python(log: Log, at: int, most: int) -> None:
    at = min(at, log[2])
    ours = taken(
        _Records, log, at, most, highwater=lambda _: log[2], allowance=Allowance(2**30, 2**30)
    )
    assert ours == taken(Fetcher.PartitionRecords, log, at, most)
