"""Records a second through the real worker: decode, votes, counts, samples, commit.

Beside it, in the same rounds and on the same bytes: loops that only decode the JSON (`json`,
`msgspec`), and the worker's own first stages alone (`decode`: its codec, `votes`: the engine).
Template LFs, one partition, commits of 5,000 records, on SQLite (a file, WAL) and on a real
PostgreSQL that syncs its commits to disk.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks._labeling_functions import CLASSES, labeling_functions
from benchmarks._records import START_MS, as_json, records
from benchmarks._timing import QUICK, Contestant, Seconds, faster, race, rate, say
from tests.servers.postgres import PostgresServer, server_folders
from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.model import Record
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.sources.source import Polled, Raw
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.store import registration, schema, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest.commit import close_windows
from tidegauge_service.store.scope import StreamScope

BATCH = 5_000
WARM_UP = 2
BATCHES = 6 if QUICK else 26
HOUR = 3_600_000
SIZES = (12, 50)
SMALL_BATCH = 1_000
WINDOWS = {"few_windows": BATCH * BATCHES // 4, "many_windows": 240}
"""Records in a window: four windows in all, so that samples settle; or some twenty a batch."""


class FiniteSource:
    """One partition of inputs made before."""

    def __init__(self, inputs: Sequence[bytes]) -> None:
        self._inputs = inputs
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
        first, values = self._next, self._inputs[self._next : self._next + max_records]
        self._next += len(values)
        return Polled([Raw(0, first + i, value) for i, value in enumerate(values)])

    def seek(self, partition: int, offset: int) -> None:
        """Continue at an offset."""
        del partition
        self._next = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the end."""
        return dict.fromkeys(partitions, len(self._inputs))

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to close."""


class TimedDatabase(Database):
    """A database that notes how long each writing transaction took."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.milliseconds: list[float] = []

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Begin, write, commit; noted."""
        started = time.perf_counter()
        with super().write() as connection:
            yield connection
        self.milliseconds.append(1000 * (time.perf_counter() - started))


class Pipeline:
    """A worker on a database, one batch a round."""

    def __init__(
        self,
        url: str,
        inputs: Sequence[bytes],
        probe_set: ProbeSet,
        *,
        batch: int = BATCH,
        segment_by: Sequence[str] = (),
    ) -> None:
        config = _config(batch, segment_by)
        source = FiniteSource(inputs)
        self._database = TimedDatabase(url)
        self._database.upgrade()
        with self._database.write() as connection:
            self._stream = registration.register(connection, config, probe_set, now_ms())
            streams.seed_partitions(connection, self._stream.id, source.beginnings(), now_ms())
        scope = StreamScope(config, self._stream, self._database, now_ms)
        self._worker = Worker(scope, probe_set, source)
        self._worker.step()  # the partition is assigned
        self.commits: list[float] = []

    def step(self, n: int) -> int:
        """Read, count and commit one batch."""
        del n
        self._database.milliseconds.clear()
        counted = self._worker.step().records
        self.commits += self._database.milliseconds
        return counted

    def close_windows(self) -> None:
        """Close what the watermark has passed, as a job does beside the worker."""
        with self._database.write() as connection:
            close_windows(connection, self._stream)

    def close(self) -> None:
        """Check that everything was counted, and leave."""
        t = schema.stream_partition
        query = sa.select(t.c.next_offset, t.c.records, t.c.late)
        with self._database.read() as connection:
            counted = tuple(connection.execute(query).one())
        self._database.close()
        if counted != (BATCH * BATCHES, BATCH * BATCHES, 0):
            raise SystemExit(f"position, records, late: {counted}: the benchmark is wrong")


def _config(batch: int = BATCH, segment_by: Sequence[str] = ()) -> StreamConfig:
    return StreamConfig.model_validate(
        {
            "name": "benchmark",
            "source": {"kind": "demo"},
            "record": {"text": "text"},
            "probes": "made by the benchmark",
            "segment_by": list(segment_by),
            "baseline": {"from": to_iso(START_MS), "until": to_iso(START_MS + HOUR)},
            # A busy machine must not cut batches short.
            "limits": {"commit_records": batch, "commit_interval": "1h"},
        }
    )


@dataclass
class Peers:
    """What the pipeline is measured against: parts of its work, on the same bytes."""

    inputs: Sequence[bytes]
    probe_set: ProbeSet

    def contestants(self) -> dict[str, Contestant]:
        """Name them."""
        return {
            "json": self._json,
            "msgspec": self._msgspec,
            "decode": self._decode,
            "decode_votes": self._decode_votes,
        }

    def _batch(self, n: int) -> Sequence[bytes]:
        return self.inputs[n * BATCH : (n + 1) * BATCH]

    def _json(self, n: int) -> int:
        return len([json.loads(value) for value in self._batch(n)])

    def _msgspec(self, n: int) -> int:
        decode = msgspec.json.Decoder().decode
        return len([decode(value) for value in self._batch(n)])

    def _decoded(self, n: int) -> list[Record]:
        config = _config()
        codec = Codec(config.record, config.limits, now_ms)
        decoded = [codec.decode(Raw(0, i, value)) for i, value in enumerate(self._batch(n))]
        return [record for record in decoded if isinstance(record, Record)]

    def _decode(self, n: int) -> int:
        return len(self._decoded(n))

    def _decode_votes(self, n: int) -> int:
        found = self._decoded(n)
        return len(engine.run(self.probe_set, [record.fields for record in found]).outcomes)


def measure(
    databases: Mapping[str, str], inputs: Sequence[bytes], lfs: int
) -> tuple[dict[str, Seconds], dict[str, list[float]]]:
    """Race the worker on each database against its peers; return times, and commit times."""
    probe_set = ProbeSet.of([t.template() for t in labeling_functions(lfs)], classes=CLASSES)
    pipelines = {name: Pipeline(url, inputs, probe_set) for name, url in databases.items()}

    def after(_: int) -> None:
        for pipeline in pipelines.values():
            pipeline.close_windows()

    steps = {name: pipeline.step for name, pipeline in pipelines.items()}
    found = race(Peers(inputs, probe_set).contestants() | steps, BATCHES, after=after)
    for pipeline in pipelines.values():
        pipeline.close()
    settled = {
        name: Seconds(seconds.cpu[WARM_UP:], seconds.wall[WARM_UP:])
        for name, seconds in found.items()
    }
    return settled, {name: pipeline.commits[WARM_UP:] for name, pipeline in pipelines.items()}


def figures(found: dict[str, Seconds], name: str, commits: list[float]) -> dict[str, Any]:
    """Return what is said of the worker on one database; rates by the clock."""
    ours = found[name]
    milliseconds = statistics.median(commits)
    commit = milliseconds / 1000 / BATCH / statistics.median(ours.wall)
    decode = 1 / faster(found["decode"].wall, ours.wall)
    votes = 1 / faster(found["decode_votes"].wall, ours.wall) - decode
    rest = 1 - decode - votes - commit
    shares = {"decode": decode, "votes": votes, "commit": commit, "counts_and_samples": rest}
    return {
        "records_per_second": rate(ours.wall),
        "records_per_cpu_second": rate(ours.cpu),
        "records_per_second_overall": round(len(ours.wall) / sum(ours.wall)),
        "vs_json": faster(ours.wall, found["json"].wall),
        "vs_msgspec": faster(ours.wall, found["msgspec"].wall),
        "commit_ms": round(milliseconds, 1),
        "shares": {stage: round(share, 2) for stage, share in shares.items()},
    }


def small_commits(databases: Mapping[str, str], inputs: Sequence[bytes]) -> dict[str, float]:
    """Return the median time of small commits, ms: 1,000 records, 50 LFs, 10 segments."""
    probe_set = ProbeSet.of([t.template() for t in labeling_functions(50)], classes=CLASSES)
    found = {}
    for name, url in databases.items():
        pipeline = Pipeline(url, inputs, probe_set, batch=SMALL_BATCH, segment_by=["region"])
        for n in range(len(inputs) // SMALL_BATCH):
            pipeline.step(n)
            pipeline.close_windows()
        pipeline.close()
        found[name] = round(statistics.median(pipeline.commits[WARM_UP:]), 1)
    return found


def bench(server: PostgresServer | None, folder: Path) -> dict[str, Any]:
    """Measure each number of LFs and kind of windows on each database."""
    result: dict[str, Any] = {}
    some = records(BATCH * BATCHES)
    for kind, records_per_window in WINDOWS.items():
        inputs = as_json(some, records_per_window, HOUR)
        for lfs in SIZES:
            databases = {"sqlite": f"sqlite:///{folder}/{kind}-{lfs}.db"}
            if server is not None:
                databases["postgresql"] = server.create_database()
            found, commits = measure(databases, inputs, lfs)
            entry = {name: figures(found, name, commits[name]) for name in databases}
            entry["json"] = {"records_per_second": rate(found["json"].wall)}
            entry["msgspec"] = {"records_per_second": rate(found["msgspec"].wall)}
            result.setdefault(kind, {})[str(lfs)] = entry
            for name in databases:
                say(f"{kind}, {lfs} LFs, {name}: {entry[name]}")
    databases = {"sqlite": f"sqlite:///{folder}/commits.db"}
    if server is not None:
        databases["postgresql"] = server.create_database()
    few = as_json(some, WINDOWS["few_windows"], HOUR)
    return result | {"small_commit_ms": small_commits(databases, few)}


def main() -> int:
    """Measure, and print the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegauge-bench-")))
        server = None
        if server_folders():
            server = PostgresServer(durable=True)
            stack.callback(server.close)
            server.start()
        result = bench(server, folder)
    about = "durable" if server else "absent: apt-get install postgresql"
    print(json.dumps({"benchmark": "pipeline", "quick": QUICK, "postgresql": about, **result}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
