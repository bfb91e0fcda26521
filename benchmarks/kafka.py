"""From a real Apache Kafka to the database: one worker beside a bare poll loop, then more workers.

Twenty template LFs, records of about 500 bytes of JSON, eight partitions. Each contestant is a
process of its own and has the topic to itself; they take turns. CPU time is the contestant's own:
broker and database run on the same cores. The first batch of each process, in which it loads and
compiles what it needs, is told apart.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaProducer

from benchmarks._labeling_functions import CLASSES, labeling_functions
from benchmarks._records import START_MS, as_json, records
from benchmarks._timing import QUICK, say
from tests.servers.broker import Cluster, KafkaBroker
from tests.servers.postgres import PostgresServer
from tidegauge_service.clock import to_iso
from tidegauge_service.store.engine import Database

LFS = 20
PARTITIONS = 8
RECORDS = 200_000 if QUICK else 960_000
"""Enough for each of eight workers to have many batches (of 10,000) after its first."""

ROUNDS = 2 if QUICK else 3
MEMBERS = (1, 2, 4, 8)
HOUR = 3_600_000
WINDOWS = 4


class Group:
    """What the members of one run need: the topic, a stream file, a new database."""

    def __init__(self, bootstrap: str, topic: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._folder = folder
        self._runs = 0
        twins = labeling_functions(LFS)
        probes = [
            twin.template().model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
            for twin in twins
        ]
        file = {"classes": list(CLASSES), "probes": probes}
        (folder / "probes.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")

    def run(self, database: str, members: int = 1) -> list[dict[str, float]]:
        """Let workers of one group read the topic; return what each used."""
        Database(database).upgrade()
        orders = {
            "kind": "worker",
            "stream": str(self._stream_file()),
            "database": database,
            "partitions": PARTITIONS,
            "members": members,
            "records": RECORDS,
        }
        return _together([orders] * members)

    def poll(self) -> dict[str, float]:
        """Read the topic with a bare poll loop."""
        orders = {
            "kind": "poll",
            "bootstrap": self._bootstrap,
            "topic": self._topic,
            "partitions": PARTITIONS,
            "records": RECORDS,
        }
        return _together([orders])[0]

    def _stream_file(self) -> Path:
        self._runs += 1
        name = f"benchmark-{self._runs}"
        config = {
            "name": name,
            "source": {
                "kind": "kafka",
                "bootstrap": self._bootstrap,
                "topic": self._topic,
                "group": name,
            },
            "record": {"text": "text"},
            "probes": "probes.yaml",
            "window": "1h",
            "baseline": {"from": to_iso(START_MS), "until": to_iso(START_MS + HOUR)},
        }
        path = self._folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path


def _together(orders: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Start members, open the gate when all are ready, and return their figures."""
    command = [sys.executable, "-m", "benchmarks._member"]
    members = [
        subprocess.Popen(
            [*command, json.dumps(told)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for told in orders
    ]
    for member in members:
        if member.stdout is None or member.stdout.readline() != "ready\n":
            raise SystemExit("a member did not start")
    for member in members:
        if member.stdin is not None:
            member.stdin.write("go\n")
            member.stdin.flush()
    return [json.loads(member.communicate()[0]) for member in members]


def produce(cluster: Cluster) -> str:
    """Fill a topic: time goes on at the same pace in every partition."""
    topic = cluster.create_topic(partitions=PARTITIONS)
    some = records(20_000)
    inputs = as_json(some * (RECORDS // len(some)), RECORDS // WINDOWS, HOUR)
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, linger_ms=20)
    for n, value in enumerate(inputs):
        producer.send(topic, value, partition=n % PARTITIONS)
    producer.flush()
    producer.close()
    return topic


def cpu_us(members: Sequence[dict[str, float]]) -> float:
    """Return the CPU time of a record, µs, over all members."""
    return 1e6 * sum(m["cpu"] for m in members) / sum(m["records"] for m in members)


def rate(member: dict[str, float]) -> float:
    """Return records a second by the clock."""
    return member["records"] / member["wall"]


def one_worker(group: Group, postgres: PostgresServer, folder: Path) -> dict[str, Any]:
    """Race one worker on each database against the poll loop."""
    found: dict[str, list[dict[str, float]]] = {"poll": [], "sqlite": [], "postgresql": []}
    for n in range(ROUNDS):
        found["poll"].append(group.poll())
        found["sqlite"] += group.run(f"sqlite:///{folder}/{n}.db")
        found["postgresql"] += group.run(postgres.create_database())
        say(", ".join(f"{name} {rate(runs[-1]):,.0f}/s" for name, runs in found.items()))
    ratios = {
        name: [rate(ours) / rate(poll) for ours, poll in zip(runs, found["poll"], strict=True)]
        for name, runs in found.items()
    }
    return {
        "records_per_second": {
            name: round(statistics.median(map(rate, runs))) for name, runs in found.items()
        },
        "cpu_us_per_record": {
            name: round(statistics.median(cpu_us([run]) for run in runs), 1)
            for name, runs in found.items()
        },
        "start_cpu_s": round(statistics.median(run["start"] for run in found["sqlite"]), 2),
        "sqlite_vs_poll": round(statistics.median(ratios["sqlite"]), 3),
        "postgresql_vs_poll": round(statistics.median(ratios["postgresql"]), 3),
    }


def more_workers(group: Group, postgres: PostgresServer) -> dict[str, Any]:
    """Measure the CPU of a record with more and more workers in one group."""
    found: dict[int, list[float]] = {members: [] for members in MEMBERS}
    for _ in range(ROUNDS):
        for members, runs in found.items():
            runs.append(cpu_us(group.run(postgres.create_database(), members)))
        say(", ".join(f"{members} workers {runs[-1]:.1f} µs" for members, runs in found.items()))
    return {
        "cpu_us_per_record_by_workers": {
            str(members): round(statistics.median(runs), 1) for members, runs in found.items()
        },
        "cpu_vs_one_worker": {
            str(members): round(
                statistics.median(more / one for more, one in zip(runs, found[1], strict=True)),
                3,
            )
            for members, runs in found.items()
        },
    }


def main() -> int:
    """Start the servers, measure, print the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegauge-bench-")))
        broker, postgres = KafkaBroker(heap="1g"), PostgresServer(durable=True)
        for server in (broker, postgres):
            stack.callback(server.close)
            server.start()
        group = Group(broker.bootstrap, produce(broker), folder)
        result = one_worker(group, postgres, folder) | more_workers(group, postgres)
    about = {"records": RECORDS, "lfs": LFS, "partitions": PARTITIONS}
    print(json.dumps({"benchmark": "kafka", "quick": QUICK, **about, **result}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
