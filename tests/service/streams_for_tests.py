"""Small streams: template LFs over texts, a file of records, a database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.service.transactions import write
from tidegauge_probes import ProbeSet, load
from tidegauge_service.clock import Clock, now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.deployed.probe_set_cache import Lift
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.partitions.first_positions import seed
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.store import registration
from tidegauge_service.store.engine import Database
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow

HOUR = 3_600_000
START = 1_600_000_000_000 // HOUR * HOUR

PROBES: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        {"name": "mentions_free", "label": "SPAM", "keyword": {"any": ["free"]}},
        {"name": "thanks", "label": "HAM", "keyword": {"any": ["thanks", "thank you"]}},
        {"name": "short", "label": "HAM", "length": {"unit": "words", "below": 3}},
    ],
}


def record(n: int, text: str, *, ms: int | None = None, **more: Any) -> dict[str, Any]:
    """Return a record; ten minutes from one to the next unless *ms* says otherwise."""
    at = START + n * 600_000 if ms is None else ms
    return {"id": f"r{n}", "timestamp": to_iso(at), "text": text, **more}


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """Write records (or raw lines) to a file."""
    lines = (r if isinstance(r, bytes) else json.dumps(r).encode() for r in records)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def write_stream(folder: Path, probes: Mapping[str, Any] | str = PROBES, **changes: Any) -> Path:
    """Write stream.yaml and probes.yaml; *changes* replace top-level keys.

    *probes* may be a reference (``module:attribute``, a file) instead of LFs to write.
    """
    if isinstance(probes, str):
        changes["probes"] = probes
    else:
        (folder / "probes.yaml").write_text(yaml.safe_dump(dict(probes)))
    config: dict[str, Any] = {
        "name": "test",
        "source": {"kind": "file", "path": "records.jsonl"},
        "record": {"id": "id", "timestamp": "timestamp", "text": "text"},
        "probes": "probes.yaml",
        "window": "1h",
        "lateness": "10m",
        "baseline": {"from": to_iso(START), "until": to_iso(START + 60 * HOUR)},
    }
    path = folder / "stream.yaml"
    path.write_text(yaml.safe_dump(config | changes))
    return path


@dataclass
class Reading:
    """A worker on a database, ready to step."""

    config: StreamConfig
    probe_set: ProbeSet
    stream: StreamRow
    database: Database
    worker: Worker

    def to_end(self) -> None:
        """Read the source to its end."""
        while not self.worker.drained:
            self.worker.step(finite=True)


def reading(
    folder: Path,
    records: Sequence[Mapping[str, Any] | bytes] = (),
    *,
    url: str | None = None,
    source: Source | None = None,
    clock: Clock = now_ms,
    source_config: Mapping[str, Any] | None = None,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    lift: Lift | None = None,
    **changes: Any,
) -> Reading:
    """Put a worker together over *records* (written to a file) or over *source*."""
    if records:
        write_jsonl(folder / "records.jsonl", records)
    if source_config:
        changes["source"] = dict(source_config)
    config = load_stream(write_stream(folder, **changes))
    probe_set = load(config.probes, folder)
    database = Database(url or f"sqlite:///{folder}/test.db")
    database.upgrade()
    opened = source or FileReader("records.jsonl", folder)
    stream = write(database, registration.register, config, probe_set, clock())
    scope = StreamScope(config, stream, database, clock)
    origin.keep(scope, opened)
    seed(scope, opened)
    codec = open_codec(config, settings, clock)
    worker = Worker(scope, probe_set, opened, codec=codec, lift=lift)
    return Reading(config, probe_set, stream, database, worker)
