from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from tests.servers.broker import Cluster
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.group import NOW
from tests.service.streams_for_tests import Reading, reading, write_stream
from tidegauge_service.cli.doctor import stream_file
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.sources.kafka import source as kafka_source
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
from tidegauge_service.ingest.sources.source import Polled, Raw
from tidegauge_service.store import streams

Open = Callable[..., KafkaTopic]


@pytest.fixture
def group() -> str:
    """Give the name of a consumer group that nobody used before."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_topic(kafka_broker: Cluster, group: str) -> Iterator[Open]:
    """Give a function that opens a topic as a member of one group; closed afterwards."""
    with ExitStack() as opened:

        def open_one(topic: str, start: str = "earliest") -> KafkaTopic:
            config = KafkaSource.model_validate(
                {
                    "kind": "kafka",
                    "bootstrap": kafka_broker.bootstrap,
                    "topic": topic,
                    "group": group,
                    "start": start,
                }
            )
            source = KafkaTopic(config)
            opened.callback(source.close)
            return source

        yield open_one


def produce(broker: Cluster, topic: str, inputs: Sequence[Sequence[bytes]]) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for partition, values in enumerate(inputs):
            for value in values:
                producer.send(topic, value, partition=partition, timestamp_ms=NOW)
        producer.flush()


def assigned(*sources: KafkaTopic, partitions: int) -> list[set[int]]:
    """Poll until the sources hold all partitions between them.

    Each asks for the beginnings first, as a pipeline does: a group whose leader has not heard of
    a new topic yet shares out nothing until its metadata is five minutes old.
    """
    for source in sources:
        assert len(source.beginnings()) == partitions
    held: list[set[int]] = [set() for _ in sources]

    def settled() -> bool:
        for mine, source in zip(held, sources, strict=True):
            polled = source.poll(100, 0.05)
            mine.difference_update(polled.lost)
            mine.update(polled.gained)
        return sorted(p for mine in held for p in mine) == list(range(partitions)) and all(held)

    wait_until(settled, what="an assignment of every partition")
    return held


def read(source: KafkaTopic, count: int) -> list[Raw]:
    """Poll until that many inputs came."""
    found = list[Raw]()

    def enough() -> bool:
        found.extend(source.poll(100, 0.1).inputs)
        return len(found) >= count

    wait_until(enough, what=f"{count} inputs")
    assert len(found) == count
    return sorted(found, key=lambda raw: (raw.partition, raw.offset))


def test_inputs_of_all_partitions_come_with_their_positions(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    topic = kafka_broker.create_topic(partitions=2)
    produce(kafka_broker, topic, [[b"a", b"b"], [b"c"]])
    source = open_topic(topic)
    assert source.beginnings() == {0: 0, 1: 0}
    assert source.ends([0, 1]) == {0: 2, 1: 1}
    assert assigned(source, partitions=2) == [{0, 1}]
    assert source.poll(100, 0.2).inputs == [], "nothing is read before it was sought"
    for partition in (0, 1):
        source.seek(partition, 0)
    assert read(source, 3) == [
        Raw(0, 0, b"a", NOW),
        Raw(0, 1, b"b", NOW),
        Raw(1, 0, b"c", NOW),
    ]
    source.seek(0, 1)
    assert read(source, 1) == [Raw(0, 1, b"b", NOW)]


def test_a_new_stream_can_start_at_the_end(kafka_broker: Cluster, open_topic: Open) -> None:
    topic = kafka_broker.create_topic(partitions=2)
    produce(kafka_broker, topic, [[b"a", b"b"], []])
    assert open_topic(topic, start="latest").beginnings() == {0: 2, 1: 0}


def test_a_partition_that_is_not_ours_is_left_alone(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    source = open_topic(kafka_broker.create_topic())
    source.seek(0, 0)  # before the group has assigned anything
    source.seek(7, 0)
    source.report({0: 1, 7: 1})


def test_a_topic_that_does_not_exist_is_named(kafka_broker: Cluster, open_topic: Open) -> None:
    source = open_topic("nowhere")
    with pytest.raises(SourceError, match=r"topic 'nowhere' does not exist at .*create it first"):
        source.beginnings()


def test_a_broker_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_source, "BOOTSTRAP_TIMEOUT_MS", 300)
    bootstrap = f"{HOST}:{free_port()}"
    config = KafkaSource(kind="kafka", bootstrap=bootstrap, topic="t")
    with pytest.raises(
        SourceError, match=f"cannot use Kafka at {bootstrap}.*check that the broker is running"
    ):
        KafkaTopic(config)


def test_what_cannot_be_used_is_said_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_source, "BOOTSTRAP_TIMEOUT_MS", 300)
    config = KafkaSource.model_validate(
        {
            "kind": "kafka",
            "bootstrap": f"{HOST}:{free_port()}",
            "topic": "t",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "reader",
            "sasl_password": "hush",
        }
    )
    with pytest.raises(SourceError, match="check that the broker is running") as caught:
        KafkaTopic(config, "hush too")
    assert "hush" not in str(caught.value)


def test_two_members_share_the_partitions_and_one_takes_over(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    topic = kafka_broker.create_topic(partitions=2)
    produce(kafka_broker, topic, [[b"a"], [b"b"]])
    one, two = open_topic(topic), open_topic(topic)
    held = assigned(one, two, partitions=2)
    assert [len(mine) for mine in held] == [1, 1]
    two.close()
    gained = set[int](held[0])

    def has_all() -> bool:
        polled = one.poll(100, 0.05)
        gained.difference_update(polled.lost)
        gained.update(polled.gained)
        return gained == {0, 1}

    wait_until(has_all, what="the partitions of the member that left")
    for partition in (0, 1):
        one.seek(partition, 0)
    assert [raw.value for raw in read(one, 2)] == [b"a", b"b"]


def committed(broker: Cluster, group: str) -> dict[int, int]:
    """Return the offsets that Kafka holds for a group."""
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        offsets = admin.list_group_offsets({group: None})[group]
    return {tp.partition: found.offset for tp, found in offsets.items()}


def kafka_reading(folder: Path, broker: Cluster, source: KafkaTopic, group: str) -> Reading:
    config = {
        "kind": "kafka",
        "bootstrap": broker.bootstrap,
        "topic": source._config.topic,
        "group": group,
    }
    return reading(folder, source=source, clock=lambda: NOW, source_config=config)


def test_a_worker_goes_by_the_databases_positions_and_tells_kafka_of_them(
    kafka_broker: Cluster, open_topic: Open, group: str, tmp_path: Path
) -> None:
    inputs = oracle.topic(2, 30)
    topic = kafka_broker.create_topic(partitions=2)
    produce(kafka_broker, topic, [part[:20] for part in inputs])
    first = open_topic(topic)
    run = kafka_reading(tmp_path, kafka_broker, first, group)
    run.to_end()
    wait_until(lambda: committed(kafka_broker, group) == {0: 20, 1: 20}, what="the hint")
    first.close()
    mislead(kafka_broker, group, topic)
    produce(kafka_broker, topic, [part[20:] for part in inputs])
    second = open_topic(topic)
    again = kafka_reading(tmp_path, kafka_broker, second, group)
    again.to_end()
    found = oracle.tallies(again.database, again.stream)
    expected = oracle.expected(inputs)
    for place, tally in found.items():
        whole = {name: n for name, n in expected[place].items() if name.startswith("_all")}
        assert tally == whole
    assert found.keys() == expected.keys()
    with again.database.read() as connection:
        rows = streams.partitions(connection, again.stream.id)
    assert [(p.next_offset, p.end_offset, p.drained) for p in rows] == [(30, 30, True)] * 2
    wait_until(lambda: committed(kafka_broker, group) == {0: 30, 1: 30}, what="the hint")
    run.database.close()
    again.database.close()


def mislead(broker: Cluster, group: str, topic: str) -> None:
    """Commit offsets to Kafka that are not where the database stands."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.structs import OffsetAndMetadata

    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False
    )
    partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    consumer.assign(partitions)
    wrong = zip(partitions, (3, 19), strict=True)
    consumer.commit({tp: OffsetAndMetadata(offset, "", -1) for tp, offset in wrong})
    consumer.close(autocommit=False)


def test_a_member_without_partitions_hears_that_it_has_none(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    topic = kafka_broker.create_topic()
    sources = [open_topic(topic), open_topic(topic)]
    for source in sources:
        source.beginnings()
    told = [False, False]

    def both_told() -> bool:
        for i, source in enumerate(sources):
            told[i] |= source.poll(100, 0.05).assigned
        return all(told)

    wait_until(both_told, what="an answer to both members")


def test_a_partition_that_was_sought_where_nothing_is_is_out_of_range(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    topic = kafka_broker.create_topic()
    produce(kafka_broker, topic, [[b"a"]])
    source = open_topic(topic)
    assigned(source, partitions=1)
    source.seek(0, 1_000)
    wait_until(lambda: 0 in source.poll(100, 0.1).out_of_range, what="that the place is not there")
    assert source.held([0, 7]) == {0: (0, 1)}
    source.hold(0)
    assert source.poll(100, 0.1) == Polled([])
    source.seek(0, 0)
    assert read(source, 1) == [Raw(0, 0, b"a", NOW)]


def test_who_only_looks_takes_no_partition_from_the_group(
    kafka_broker: Cluster, open_topic: Open
) -> None:
    topic = kafka_broker.create_topic(partitions=3)
    produce(kafka_broker, topic, [[b"a"] * 5, [b"b"] * 5])
    member = open_topic(topic)
    wait_until(lambda: len(member.poll(1, 0.2).gained) == 3, what="all three")
    looking = open_topic(topic, start="latest")
    found = looking.first(100, 20)
    assert sorted((raw.partition, raw.offset, raw.value) for raw in found) == [
        (p, n, value) for p, value in ((0, b"a"), (1, b"b")) for n in range(5)
    ]
    assert len(looking.first(3, 20)) == 3
    assert not member.poll(1, 1.0).lost, "the group was not told"
    assert open_topic(kafka_broker.create_topic()).first(100, 20) == []


def test_doctor_looks_for_the_paths_of_the_stream_file_in_a_topic(
    kafka_broker: Cluster, tmp_path: Path
) -> None:
    topic = kafka_broker.create_topic()
    produce(kafka_broker, topic, [[b'{"id": "a", "at": 1600000000, "body": "free"}'] * 3])
    source = {"kind": "kafka", "bootstrap": kafka_broker.bootstrap, "topic": topic}
    good = {"timestamp": "at", "text": "body"}
    settings = Settings()
    path = write_stream(tmp_path, source=source, record=good)
    assert stream_file.fields(path, settings) == "3 records read; they have: id, at, body"
    path = write_stream(tmp_path, source=source, record={**good, "text": "bdy"})
    with pytest.raises(SettingsError, match="'bdy' is in none of the first 3 records"):
        stream_file.fields(path, settings)
