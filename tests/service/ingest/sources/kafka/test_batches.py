"""Batches read quickly are what kafka-python reads, broken ones included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from tidegauge_service.ingest.sources.kafka.batches import KafkaBatch
from tidegauge_service.ingest.sources.source import Raw

HEADER = DefaultRecordBatch.HEADER_STRUCT.size
PARTITION = 3

some_bytes = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=5), some_bytes), max_size=3)
numbers = st.integers(0, 2**42) | st.integers(0, 300)
records = st.lists(st.tuples(numbers, some_bytes, some_bytes, headers), min_size=1, max_size=20)


def batch_of(some: Any, codec: int = 0) -> bytes:
    builder = MemoryRecordsBuilder(2, codec, 1 << 20)
    for timestamp, key, value, named in some:
        builder.append(timestamp=timestamp, key=key, value=value, headers=named)
    builder.close()
    return bytes(builder.buffer())


def read(batch: bytes | bytearray) -> list[Any]:
    """Return the inputs; the last may be that it is broken."""
    return _until_broken(KafkaBatch(batch, 2**30).inputs(PARTITION))


def expected(batch: bytes | bytearray) -> list[Any]:
    """Return what kafka-python reads."""
    return _until_broken(
        Raw(PARTITION, record.offset, record.value, record.timestamp)
        for record in DefaultRecordBatch(batch)
    )


def _until_broken(records: Iterable[Raw]) -> list[Any]:
    found: list[Any] = []
    try:
        for record in records:
            found.append(record)  # noqa: PERF402  (those before the broken one are kept)
    except CorruptRecordError:
        found.append("broken")
    return found


@given(records, st.sampled_from([0, 1, 2, 3, 4]))
def test_it_reads_what_kafka_python_reads(some: Any, codec: int) -> None:
    batch = batch_of(some, codec)
    found = read(batch)
    assert found == expected(batch)
    assert len(found) == len(some)


@given(records, st.data())
def test_what_is_broken_for_kafka_python_is_broken_here(some: Any, data: st.DataObject) -> None:
    """Without the checksum, which is asked first, any bytes may come."""
    batch = bytearray(batch_of(some))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(HEADER, len(batch) - 1))
        batch[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(HEADER, len(batch)))
    assert read(batch[:cut]) == expected(batch[:cut])


@given(records)
def test_the_brokers_time_stands_for_all_of_a_batch(some: Any) -> None:
    batch = bytearray(batch_of(some))
    batch[DefaultRecordBatch.ATTRIBUTES_OFFSET + 1] |= DefaultRecordBatch.TIMESTAMP_TYPE_MASK
    found = read(batch)
    assert found == expected(batch)
    assert {record.timestamp_ms for record in found} == {max(time for time, *_ in some)}
