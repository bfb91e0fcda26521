from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import kafka.codec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kafka import KafkaProducer, TopicPartition
from kafka.record import MemoryRecords
from kafka.record.memory_records import MemoryRecordsBuilder

from tests.servers.broker import Cluster, KafkaBroker
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.group import NOW
from tests.service.kafka_streams import (
    counted,
    kafka_stream,
    letters,
    messages,
    positions,
    produce_batch,
)
from tests.service.streams_for_tests import Reading
from tests.service.transactions import read
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import StreamHalted
from tidegauge_service.ingest.sources.kafka.poison import Allowance, _Records
from tidegauge_service.ingest.sources.source import weight
from tidegauge_service.store import streams
from tidegauge_service.store.windows import queries

BAD = "undecodable_batch"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Give a stack that closes what a test opens."""
    with ExitStack() as stack:
        yield stack


def to_end(run: Reading, closing: ExitStack) -> Reading:
    closing.callback(run.database.close)
    closing.callback(run.worker.close)
    run.to_end()
    return run


def hide(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kafka-python look as it does where a codec is not installed."""
    names = {"zstd": ["zstd"], "snappy": ["snappy"], "lz4": ["lz4", "lz4f", "lz4framed"]}
    for name in names[codec]:
        monkeypatch.setattr(kafka.codec, name, None)


@pytest.mark.parametrize("codec", ["zstd", "lz4", "snappy"])
def test_a_batch_whose_codec_is_missing_is_skipped_exactly(
    kafka_broker: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    closing: ExitStack,
    codec: str,
) -> None:
    topic = kafka_broker.create_topic(partitions=2)
    produce_batch(kafka_broker, topic, messages(0, 3))
    produce_batch(kafka_broker, topic, messages(3, 4), codec=codec)
    produce_batch(kafka_broker, topic, messages(7, 5), codec="gzip")
    produce_batch(kafka_broker, topic, messages(0, 6), partition=1)
    hide(codec, monkeypatch)
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic), closing)
    assert counted(run) == 3 + 5 + 6
    found = letters(run)
    assert [(offset, reason) for offset, reason, _ in found] == [(n, BAD) for n in range(3, 7)]
    assert found[0][2] > 0, "the first dead letter holds the batch"
    assert [size for _, _, size in found[1:]] == [0, 0, 0]
    assert positions(run) == [12, 6]


def test_a_poisoned_worker_does_not_spin(
    kafka_broker: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    """Without ``kafka_poison`` the second poll never returns, at full CPU."""
    topic = kafka_broker.create_topic()
    produce_batch(kafka_broker, topic, messages(0, 3), codec="lz4")
    hide("lz4", monkeypatch)
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic), closing)
    began, spent = time.monotonic(), time.process_time()
    while time.monotonic() - began < 2:
        run.worker.step()
    assert time.process_time() - spent < 0.5 * (time.monotonic() - began)
    produce_batch(kafka_broker, topic, messages(3, 2))
    while positions(run) != [5]:
        run.worker.step()
    assert counted(run) == 2
    assert len(letters(run)) == 3


def test_a_batch_that_was_broken_on_the_brokers_disk_is_skipped_exactly(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    if not isinstance(kafka_broker, KafkaBroker):
        pytest.skip("this test breaks a file of its broker")
    topic = kafka_broker.create_topic(partitions=2)
    for first, count in ((0, 3), (3, 4), (7, 5)):
        produce_batch(kafka_broker, topic, messages(first, count))
    produce_batch(kafka_broker, topic, messages(0, 6), partition=1)
    kafka_broker.stop()
    try:
        [segment] = (kafka_broker.data / f"{topic}-0").glob("*.log")
        content = bytearray(segment.read_bytes())
        content[content.index(b'"r4"') + 1] ^= 0x20
        segment.write_bytes(content)
    finally:
        kafka_broker.start()
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic), closing)
    assert counted(run) == 3 + 5 + 6
    assert [(offset, reason) for offset, reason, _ in letters(run)] == [
        (offset, BAD) for offset in range(3, 7)
    ]
    assert positions(run) == [12, 6]


def test_the_end_is_reached_though_no_record_stands_there(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    """The last offsets are an aborted record and markers; aborted records do not count."""
    topic = kafka_broker.create_topic()
    producer = KafkaProducer(bootstrap_servers=kafka_broker.bootstrap, transactional_id=topic)
    closing.callback(producer.close)
    producer.init_transactions()
    for values, commits in ((messages(0, 3), True), (messages(3, 2), False)):
        producer.begin_transaction()
        for value in values:
            producer.send(topic, value, timestamp_ms=NOW)
        producer.flush()
        (producer.commit_transaction if commits else producer.abort_transaction)()
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic), closing)
    assert counted(run) == 3
    assert letters(run) == []
    assert positions(run) == [3 + 1 + 2 + 1]


def test_an_idle_partition_proves_its_end_behind_a_marker(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    topic = kafka_broker.create_topic()
    with KafkaProducer(bootstrap_servers=kafka_broker.bootstrap, transactional_id=topic) as it:
        it.init_transactions()
        it.begin_transaction()
        it.send(topic, messages(0, 1)[0], timestamp_ms=NOW)
        it.flush()
        it.commit_transaction()
    quick = {"idle_grace": "1s", "silence_grace": "1s"}
    over = {"from": "2020-01-01", "until": "2020-01-02"}
    run = kafka_stream(tmp_path, kafka_broker, topic, clock=now_ms, source=quick, baseline=over)
    closing.callback(run.database.close)
    closing.callback(run.worker.close)
    began = now_ms()

    def proved() -> bool:
        run.worker.step()  # a live worker, not one that reads to the end
        with run.database.read() as connection:
            [partition] = streams.partitions(connection, run.stream.id)
        return (partition.watermark_ms or 0) >= began - 60_000

    wait_until(proved, what="the proof of the end")
    assert positions(run) == [2]


def test_tombstones_can_be_dead_letters_and_hold_nothing(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    topic = kafka_broker.create_topic()
    produce_batch(kafka_broker, topic, [*messages(0, 2), None])
    kept = {"tombstones": "dead_letter"}
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic, source=kept), closing)
    assert counted(run) == 2
    assert letters(run) == [(2, "empty", 0)]
    assert positions(run) == [3]


SIZES = (3, 4, 5)


def batches() -> list[bytearray]:
    """Return three record batches: offsets 0-2, 3-6, 7-11."""
    found, offset = [], 0
    for count in SIZES:
        builder = MemoryRecordsBuilder(2, 0, 1 << 20)
        for n in range(count):
            builder.append(NOW, None, b"value %d" % (offset + n), [])
        builder.close()
        batch = bytearray(builder.buffer())
        batch[:8] = offset.to_bytes(8, "big")
        found.append(batch)
        offset += count
    return found


def unpacked(parts: list[bytearray], *, at: int = 0) -> list[tuple[int, bool]]:
    """Return (offset, is poison) of what is read from *at* on, taken two by two."""
    tp = TopicPartition("t", 0)
    content = MemoryRecords(bytes(b"".join(parts)))
    allowance = Allowance(2**20, left=2**20)
    records = _Records(at, tp, content, highwater=lambda _: sum(SIZES), allowance=allowance)
    found: list[tuple[int, bool]] = []
    while records.record_iterator is not None:
        taken = records.take(2)
        found += [(record.offset, record.fault is not None) for record in taken]
        assert not taken or records.next_fetch_offset > taken[-1].offset
    return found


@given(place=st.integers(17, 200), bit=st.integers(0, 7), at=st.integers(0, 11))
def test_whatever_bit_of_a_batch_is_broken_the_others_are_read(
    place: int, bit: int, at: int
) -> None:
    """Bytes before the 17th are outside the CRC: nobody can tell that they are broken."""
    parts = batches()
    parts[1][min(place, len(parts[1]) - 1)] ^= 1 << bit
    assert unpacked(parts, at=at) == [(n, n in range(3, 7)) for n in range(at, 12)]


@given(length=st.integers(-300, 300) | st.integers(-(2**31), 2**31 - 1))
@example(length=-241)  # before the beginning of the response: it spun
def test_a_broken_length_ends_the_response(length: int) -> None:
    parts = batches()
    parts[2][8:12] = length.to_bytes(4, "big", signed=True)
    found = unpacked(parts)
    assert found[:7] == [(n, False) for n in range(7)]
    assert [offset for offset, _ in found] == list(range(len(found)))


@given(budget=st.integers(1, 40), at=st.integers(0, 11))
def test_a_take_ends_at_its_bytes_and_goes_on_after_them(budget: int, at: int) -> None:
    """Each value has 7 bytes, or 8 from offset 10 on."""
    allowance = Allowance(2**20)
    content = MemoryRecords(bytes(b"".join(batches())))
    tp = TopicPartition("t", 0)
    records = _Records(at, tp, content, highwater=lambda _: sum(SIZES), allowance=allowance)
    found = list[int]()
    while records.record_iterator is not None:
        allowance.left = budget
        taken = records.take(100)
        assert sum(map(weight, taken[:-1])) < budget
        found += [raw.offset for raw in taken]
    assert found == list(range(at, sum(SIZES)))


def test_tombstones_are_skipped_and_counted_and_hold_nothing(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    """Nine of ten: far above the share of dead letters at which a stream stops."""
    topic = kafka_broker.create_topic(partitions=2)
    values = [value for message in messages(0, 150) for value in (message, *[None] * 9)]
    produce_batch(kafka_broker, topic, values, codec="gzip")
    produce_batch(kafka_broker, topic, [None] * 7, partition=1)
    run = to_end(kafka_stream(tmp_path, kafka_broker, topic), closing)
    assert counted(run) == 150
    assert letters(run) == []
    assert positions(run) == [1_500, 7]
    summary = read(run.database, queries.summary, run.stream)
    assert (summary.records, summary.tombstones) == (150, 1_350 + 7)
    assert [p.tombstones for p in summary.partitions] == [1_350, 7]


def test_a_stream_stops_at_dead_letters_among_tombstones(
    kafka_broker: Cluster, tmp_path: Path, closing: ExitStack
) -> None:
    """Tombstones are no inputs that were all right: they do not thin the share."""
    topic = kafka_broker.create_topic()
    values = [b"broken" if n % 10 == 0 else oracle.message(n, n) for n in range(1_000)]
    produce_batch(kafka_broker, topic, [*values, *[None] * 4_000])
    run = kafka_stream(tmp_path, kafka_broker, topic)
    with pytest.raises(StreamHalted, match="100 of 1000 inputs"):
        to_end(run, closing)
