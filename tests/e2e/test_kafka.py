"""The same records through Apache Kafka, two workers and PostgreSQL give the same numbers."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer

from tests.e2e.running import started, tidegauge
from tests.servers.broker import Cluster
from tests.service.transactions import read
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.reports import summary
from tidegauge_service.store import streams
from tidegauge_service.store.alerting.alert_fields import fields_of
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import queries

PARTITIONS = 4
WINDOWS = 110

CONGRESS_LFS = {
    "impeachment": ["impeach", "trial", "witness"],
    "iran": ["iran", "soleimani"],
    "taxes": ["tax"],
    "health_care": ["health care", "healthcare", "drug", "insurance"],
    "trump": ["trump", "president"],
    "jobs": ["jobs", "economy", "workers"],
    "border": ["border", "immigration"],
    "guns": ["gun"],
    "trade": ["usmca", "trade"],
    "veterans": ["veteran", "military", "troops"],
    "climate": ["climate", "energy"],
    "life": ["abortion", "prolife", "unborn"],
}


def write_config(folder: Path, name: str, source: dict[str, Any], base: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**base, "source": source}))
    return path


def produce(bootstrap: str, topic: str, values: Iterable[bytes]) -> int:
    """Send values in order, spread over the partitions by their content."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, acks="all")
    n = 0
    for value in values:
        producer.send(topic, value, partition=zlib.crc32(value) % PARTITIONS)
        n += 1
    producer.flush()
    producer.close()
    return n


def run_two_workers(folder: Path, config: Path, url: str) -> None:
    """Two processes of one group share the topic, and stop when it is read to its end."""
    logs = [folder / f"worker{i}.log" for i in range(2)]
    workers = [started("run", config, "--drain", cwd=folder, log=log, database=url) for log in logs]
    try:
        codes = [worker.wait(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert codes == [0, 0], "\n".join(log.read_text() for log in logs)


def numbers(url: str) -> dict[str, Any]:
    """Everything a stream counted and concluded, without what depends on partitions."""
    database = Database(url)
    try:
        [stream] = read(database, queries.summaries)
        windows = read(database, queries.window_page, stream.stream, limit=100_000)
        return {
            "records": stream.records,
            "late": stream.late,
            "dead_letters": stream.dead_letters,
            "windows": [(w.start_ms, w.state, w.records, w.series) for w in windows],
            "alerts": [fields_of(a) for a in read(database, summary.all_alerts, "same")],
        }
    finally:
        database.close()


def owners(url: str) -> set[str]:
    database = Database(url)
    try:
        [stream] = read(database, queries.summaries)
        with database.read() as connection:
            return {p.owner or "" for p in streams.partitions(connection, stream.stream.id)}
    finally:
        database.close()


def demo_inputs() -> Iterator[bytes]:
    plan = Plan(dirty_share=0.002)
    return (raw_at(3, offset, plan=plan) for offset in range(WINDOWS * plan.records_per_window))


def demo_base(folder: Path) -> dict[str, Any]:
    import tidegauge_service.demo

    [package] = tidegauge_service.demo.__path__
    (folder / "probes.yaml").write_text(Path(package, "probes.yaml").read_text())
    return {
        "name": "same",
        "record": {"id": "id", "timestamp": "timestamp", "text": "text"},
        "probes": "probes.yaml",
        "segment_by": ["channel"],
        "window": "1h",
        "lateness": "30m",
        "baseline": {"from": "2026-01-01", "until": "2026-01-03T12:00Z"},
    }


def compare_file_and_kafka(
    folder: Path, broker: Cluster, postgres_url: str, base: dict[str, Any], inputs: list[bytes]
) -> dict[str, Any]:
    (folder / "records.jsonl").write_bytes(b"".join(value + b"\n" for value in inputs))
    from_file = write_config(folder, "file", {"kind": "file", "path": "records.jsonl"}, base)
    sqlite = f"sqlite:///{folder}/file.db"
    tidegauge("replay", from_file, "--json", "--database", sqlite, cwd=folder)

    topic = broker.create_topic(partitions=PARTITIONS)
    assert produce(broker.bootstrap, topic, inputs) == len(inputs)
    source = {"kind": "kafka", "bootstrap": broker.bootstrap, "topic": topic, "group": topic}
    from_kafka = write_config(folder, "kafka", source, base)
    tidegauge("db", "upgrade", cwd=folder, database=postgres_url)
    run_two_workers(folder, from_kafka, postgres_url)

    expected, found = numbers(sqlite), numbers(postgres_url)
    assert found["records"] == expected["records"]
    assert found["dead_letters"] == expected["dead_letters"]
    assert found["late"] == expected["late"] == 0
    assert found["windows"] == expected["windows"]
    assert found["alerts"] == expected["alerts"]
    return {"topic": topic, "config": from_kafka, **found}


def test_kafka_and_postgres_count_what_the_file_counts(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str
) -> None:
    inputs = list(demo_inputs())
    found = compare_file_and_kafka(
        tmp_path, kafka_broker, postgres_url, demo_base(tmp_path), inputs
    )
    dead = sum(found["dead_letters"].values())
    assert found["records"] + dead == len(inputs)
    assert dead > 0
    assert found["alerts"], "the story of the demo must alert"
    assert len(found["windows"]) == WINDOWS

    # What comes for windows that are closed is late: counted, and nothing else changes.
    late = [
        json.dumps({**json.loads(raw_at(4, n, plan=Plan())), "id": f"late{n}"}).encode()
        for n in range(20)
    ]
    broken = [b"not json", b"\xff\xfe", b'{"id": "x"}', b""]
    produce(kafka_broker.bootstrap, found["topic"], [*late, *broken])
    run_two_workers(tmp_path, found["config"], postgres_url)
    after = numbers(postgres_url)
    assert after["late"] == 20
    assert after["records"] == found["records"] + 20
    assert sum(after["dead_letters"].values()) == dead + len(broken)
    assert after["windows"] == found["windows"]
    assert after["alerts"] == found["alerts"]


@pytest.mark.slow
def test_congress_through_kafka_equals_the_file(
    tmp_path: Path, kafka_broker: Cluster, postgres_url: str, data_dir: Path
) -> None:
    (tmp_path / "probes.yaml").write_text(
        yaml.safe_dump(
            {
                "classes": ["R", "D"],
                "probes": [
                    {"name": name, "label": "R", "keyword": {"any": words}}
                    for name, words in CONGRESS_LFS.items()
                ],
            }
        )
    )
    base = {
        "name": "same",
        "record": {"id": "id", "timestamp": "timestamp", "text": "text"},
        "probes": "probes.yaml",
        "segment_by": ["label"],
        "window": "6h",
        "lateness": "1h",
        "baseline": {"from": "2020-01-01", "until": "2020-02-12"},
    }
    with gzip.open(data_dir / "congress_tweets_2020.jsonl.gz") as file:
        inputs = [line.rstrip(b"\n") for line in file]
    found = compare_file_and_kafka(tmp_path, kafka_broker, postgres_url, base, inputs)
    assert found["records"] == 202_598
    blind = [a for a in found["alerts"] if a["series"] == "blind_spot" and a["segment"] == "_all"]
    assert any(a["opened_window"] < "2020-03-07" and a["kind"] == "drift" for a in blind)
