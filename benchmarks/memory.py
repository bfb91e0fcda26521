"""Resident memory of one worker from 1 to 10 million records: flat, within 5 %.

A whole pipeline on SQLite in this process: decode, 20 template LFs, counts, samples, commits,
windows that close and are evaluated. Inputs are made as they are read and never kept. Event time
advances by an hour in 20,000 records. `ARGS="--records N"` takes another size; there are ten
measurements.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._labeling_functions import CLASSES, labeling_functions
from benchmarks._records import START_MS, as_json, records
from benchmarks._timing import QUICK, say
from tidegauge_probes import ProbeSet
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.sources.source import Polled, Raw
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope

HOUR = 3_600_000
LFS = 20
PER_WINDOW = 20_000
BODIES = 5_000
MEASUREMENTS = 10
RECORDS = 500_000 if QUICK else 10_000_000
ALLOWED = 0.05


class EndlessSource:
    """One partition whose inputs are made when they are asked for."""

    def __init__(self) -> None:
        # Each body without the timestamp, which is the first key of what is made of it.
        made = as_json(records(BODIES), PER_WINDOW, HOUR)
        kept = [{k: v for k, v in json.loads(one).items() if k != "timestamp"} for one in made]
        self._bodies = [json.dumps(body).encode()[1:] for body in kept]
        self._next = 0
        self._announced = False

    def beginnings(self) -> dict[int, int]:
        """Return its one partition."""
        return {0: 0}

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the next inputs."""
        del timeout_s
        if not self._announced:
            self._announced = True
            return Polled(gained=frozenset({0}))
        first = self._next
        self._next += max_records
        return Polled([Raw(0, n, self._made(n)) for n in range(first, self._next)])

    def _made(self, n: int) -> bytes:
        at = to_iso(START_MS + n * HOUR // PER_WINDOW)
        return b'{"timestamp": "%s", %s' % (at.encode(), self._bodies[n % BODIES])

    def seek(self, partition: int, offset: int) -> None:
        """Continue at an offset."""
        del partition
        self._next = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return an end that is never reached."""
        return dict.fromkeys(partitions, 2**62)

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to close."""


def _config() -> StreamConfig:
    return StreamConfig.model_validate(
        {
            "name": "memory",
            "source": {"kind": "demo"},
            "record": {"text": "text"},
            "probes": "made by the benchmark",
            "segment_by": ["channel"],
            "baseline": {"from": to_iso(START_MS), "until": to_iso(START_MS + 5 * HOUR)},
            "limits": {"commit_interval": "1h"},  # a busy machine must not cut batches short
        }
    )


def resident_mib() -> float:
    """Return this process's resident memory, after what can be freed was freed."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def measure(total: int, folder: Path) -> tuple[list[float], float]:
    """Count *total* records; return resident MiB after each tenth, and records a second."""
    config = _config()
    probe_set = ProbeSet.of([t.template() for t in labeling_functions(LFS)], classes=CLASSES)
    database = Database(f"sqlite:///{folder}/memory.db")
    database.upgrade()
    source = EndlessSource()
    with database.write() as connection:
        stream = registration.register(connection, config, probe_set, now_ms())
        streams.seed_partitions(connection, stream.id, source.beginnings(), now_ms())
    scope = StreamScope(config, stream, database, now_ms)
    worker = Worker(scope, probe_set, source)
    evaluator = Evaluator(scope)
    started, counted, found = time.monotonic(), 0, list[float]()
    while len(found) < MEASUREMENTS:
        counted += worker.step().records
        evaluator.tick()
        if counted >= total * (len(found) + 1) // MEASUREMENTS:
            found.append(resident_mib())
            say(f"{counted:,} records: {found[-1]} MiB")
    seconds = time.monotonic() - started
    database.close()
    return found, counted / seconds


def main() -> int:
    """Measure, and print the figures; 1 if memory grew by more than is allowed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=RECORDS)
    total: int = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as folder:
        found, rate = measure(total, Path(folder))
    grown = found[-1] / found[0] - 1
    result = {
        "benchmark": "memory",
        "quick": QUICK,
        "records": [total * (n + 1) // MEASUREMENTS for n in range(MEASUREMENTS)],
        "resident_mib": found,
        "grown": round(grown, 4),
        "spread": round(max(found) / min(found) - 1, 4),
        "flat": abs(grown) <= ALLOWED,
        "records_per_second": round(rate),
    }
    print(json.dumps(result))
    return 0 if result["flat"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
