"""Records of a file, to try LFs on before there is a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from msgspec import structs

from tidegauge_probes.documents.reader import read_file
from tidegauge_probes.errors import DocumentError
from tidegauge_probes.model import Fields, Record
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import DemoSource, Limits, RecordMapping, StreamConfig
from tidegauge_service.config.stream_file import FileSource as FileConfig
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.sources.demo import DemoStream
from tidegauge_service.ingest.sources.files.kinds import options_of
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Raw

MOST = 5_000
"""Records of a sample: enough to see what fires at all, few enough to wait for."""


_LINES = "write one JSON object a line"
_KEYS = "check `record` in the stream file"


@dataclass(frozen=True)
class RecordSample:
    """The fields of the first records of a file, and how many inputs were no records."""

    records: tuple[Fields, ...]
    unreadable: int


def is_stream_file(reference: str) -> bool:
    """Whether a file holds a stream: it has a source, and names its LFs instead of holding them."""
    path = Path(reference)
    if path.suffix not in {".yaml", ".yml", ".json"}:
        return False
    try:
        found = read_file(path)
    except (OSError, DocumentError):
        return False  # whatever reads it next says what is wrong
    return isinstance(found, dict) and "source" in found and isinstance(found.get("probes"), str)


def read_sample(path: Path) -> RecordSample:
    """Read JSONL, CSV or Parquet; SettingsError if that gives no record."""
    codec = Codec(RecordMapping(id=None, timestamp="@source"), Limits(), now_ms)
    # Only the fields matter here: ids and times are the stream's business.
    inputs = [structs.replace(raw, timestamp_ms=0) for raw in _inputs(_opened(path))]
    return _decoded(inputs, codec, f"sample {path}", _LINES)


def stream_sample(
    config: StreamConfig, settings: Settings, path: Path | None
) -> RecordSample | None:
    """Read the first records of a stream's files, or of *path*, as the stream would.

    None for a source that cannot be looked into without taking part: Kafka, and a log.
    """
    codec = open_codec(config, settings, now_ms)
    if path is not None:
        return _decoded(_inputs(_opened(path)), codec, f"sample {path}", _KEYS)
    source = config.source
    if isinstance(source, FileConfig):
        found = FileReader(source.path, Path(config.folder), options_of(config))
        return _decoded(_inputs(found), codec, f"source {source.path}", _KEYS)
    if isinstance(source, DemoSource):
        demo = DemoStream(partial(raw_at, source.seed, plan=Plan()))
        demo.poll(0, 0)  # the announcement of its partitions
        return _decoded(demo.poll(MOST, 0).inputs, codec, "demo", _KEYS)
    return None


def _opened(path: Path) -> FileReader:
    if not path.is_file():
        msg = f"there is no sample {path}: give --sample a JSONL, CSV or Parquet file"
        raise SettingsError(msg)
    return FileReader(str(path.resolve()), Path())


def _inputs(files: FileReader) -> list[Raw]:
    found = list(islice(chain.from_iterable(files.batches(MOST)), MOST))
    files.close()
    return found


def _decoded(inputs: Sequence[Raw], codec: Codec, what: str, advice: str) -> RecordSample:
    decoded = [codec.decode(raw) for raw in inputs]
    records = tuple(item.fields for item in decoded if isinstance(item, Record))
    if not records:
        why = next((item.reason for item in decoded if not isinstance(item, Record)), "it is empty")
        msg = f"no record of the {what} can be read ({why}): {advice}"
        raise SettingsError(msg)
    return RecordSample(records, len(inputs) - len(records))
