"""One process of the Kafka benchmark: a bare poll loop, or one worker of a group.

Reads its orders as JSON from its arguments, prints "ready" when its partitions are assigned, starts
at a line on standard input, and prints what it used as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from tidegauge_service import logs
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
from tidegauge_service.ingest.sources.source import Polled
from tidegauge_service.runtime.pipeline import Pipeline, open_pipeline
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database

POLL_RECORDS = 2_000


class Gated:
    """A source whose members find each other first; inputs flow when the gate opens."""

    def __init__(self, inner: KafkaTopic) -> None:
        self._inner = inner
        self._at: dict[int, int] = {}
        self._open = False

    def beginnings(self) -> dict[int, int]:
        """Ask the topic."""
        return self._inner.beginnings()

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return what came; before the gate opens, only assignments."""
        polled = self._inner.poll(max_records if self._open else 1, timeout_s)
        return polled if self._open else Polled((), polled.gained, polled.lost)

    def open(self) -> None:
        """Let inputs through, from where the worker wanted to start."""
        self._open = True
        for partition, offset in self._at.items():
            self._inner.seek(partition, offset)

    def seek(self, partition: int, offset: int) -> None:
        """Continue at an offset."""
        self._at[partition] = offset
        self._inner.seek(partition, offset)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Ask the topic."""
        return self._inner.ends(partitions)

    def report(self, positions: Mapping[int, int]) -> None:
        """Tell the topic."""
        self._inner.report(positions)

    def close(self) -> None:
        """Leave the group."""
        self._inner.close()


class Meter:
    """CPU and wall time from the end of the first batch to the end of the last.

    In the first a process loads and compiles what it needs: that is paid once, not by the record.
    """

    def __init__(self) -> None:
        self._records = 0
        self._opened = time.process_time()
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def count(self, records: int) -> None:
        """Note a batch that was just done."""
        if not records:
            return
        self._last = (time.process_time(), time.perf_counter())
        if self._first is None:
            self._first = self._last
        else:
            self._records += records

    def figures(self) -> dict[str, float]:
        """Return what was used: seconds; ``start`` is the CPU time of the first batch."""
        first = self._first or self._last
        cpu, wall = (last - began for last, began in zip(self._last, first, strict=True))
        start = first[0] - self._opened
        return {"records": self._records, "cpu": cpu, "wall": wall, "start": start}


def ready_and_wait() -> None:
    """Tell the parent, and wait for its word."""
    print("ready", flush=True)
    sys.stdin.readline()


def poll_loop(orders: Mapping[str, Any]) -> dict[str, float]:
    """Count records, as fast as kafka-python brings them, and do nothing else."""
    consumer = KafkaConsumer(
        bootstrap_servers=orders["bootstrap"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=POLL_RECORDS,
    )
    consumer.assign([TopicPartition(orders["topic"], p) for p in range(orders["partitions"])])
    ready_and_wait()
    meter, left = Meter(), int(orders["records"])
    while left > 0:
        batches = consumer.poll(500, max_records=POLL_RECORDS)
        counted = sum(len(records) for records in batches.values())
        left -= counted
        meter.count(counted)
    consumer.close()
    return meter.figures()


def worker(orders: Mapping[str, Any]) -> dict[str, float]:
    """Be one worker of the stream: read, count, commit, close and evaluate."""
    config = load_stream(Path(orders["stream"]))
    if not isinstance(config.source, KafkaSource):
        raise TypeError(config.source)
    database = Database(orders["database"])
    gate = Gated(KafkaTopic(config.source))
    pipeline = open_pipeline(config, Settings(), database, now_ms, source=gate)
    while len(pipeline.worker.partitions) != orders["partitions"] // orders["members"]:
        pipeline.step()
    gc.collect()
    gc.freeze()  # as the worker's process does
    ready_and_wait()
    gate.open()
    meter, done = Meter(), False
    while not done:
        counted = pipeline.step().records
        meter.count(counted)
        done = not counted and _counted(pipeline) >= orders["records"]
    pipeline.close()
    database.close()
    return meter.figures()


def _counted(pipeline: Pipeline) -> int:
    """Return how many records all members have committed."""
    with pipeline.scope.database.read() as connection:
        return sum(p.records for p in streams.partitions(connection, pipeline.scope.stream.id))


if __name__ == "__main__":
    logs.configure("error")
    told = json.loads(sys.argv[1])
    print(json.dumps(poll_loop(told) if told["kind"] == "poll" else worker(told)))
