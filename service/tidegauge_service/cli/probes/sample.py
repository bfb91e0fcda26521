"""Records of a file, to try LFs on before there is a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from msgspec import structs

from tidegauge_probes.documents.reader import read_file
from tidegauge_probes.errors import DocumentError
from tidegauge_probes.model import Fields, Record
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import DemoSource
from tidegauge_service.config.sources import FileSource as FileConfig
from tidegauge_service.config.stream_file import Limits, RecordMapping, StreamConfig
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.columns import columns
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.sources.demo import DemoStream
from tidegauge_service.ingest.sources.files.kinds import Options, named_format, options_of
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Raw

MOST = 5_000
"""Records of a sample: enough to see what fires at all, few enough to wait for."""


_LINES = "write one JSON object per line"
_KEYS = "check `record` in the stream file"


@dataclass(frozen=True)
class RecordSample:
    """The fields of the first records of a file; *unreadable* inputs could not be read as records.

    ``columns``: the paths they have, before ``record.text`` is applied.
    """

    records: tuple[Fields, ...]
    unreadable: int
    columns: str


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
    files = _opened(path, Options(encoding_from=""))
    inputs = [structs.replace(raw, timestamp_ms=0) for raw in _inputs(files)]
    return _decoded(inputs, codec, f"sample {path}", _LINES)


def stream_sample(
    config: StreamConfig, settings: Settings, path: Path | None
) -> RecordSample | None:
    """Read the first records of a stream's files, or of *path*, as the stream would.

    None for a source that cannot be looked into without taking part: Kafka, and a log.
    """
    codec = open_codec(config, settings, now_ms)
    if path is not None:
        known = options_of(config)
        options = replace(known, format=named_format(path) or known.format)
        return _decoded(_inputs(_opened(path, options)), codec, f"sample {path}", _KEYS)
    inputs = stream_inputs(config, MOST)
    if inputs is None:
        return None
    source = config.source
    what = f"source {source.path}" if isinstance(source, FileConfig) else source.kind
    return _decoded(inputs, codec, what, _KEYS)


def stream_inputs(config: StreamConfig, most: int) -> list[Raw] | None:
    """Return the first inputs of a stream's files; SourceError if they cannot be read.

    None for a source that cannot be looked into without taking part: Kafka, and a log.
    """
    source = config.source
    if isinstance(source, FileConfig):
        return _inputs(FileReader(source.path, Path(config.folder), options_of(config)), most)
    if isinstance(source, DemoSource):
        demo = DemoStream(partial(raw_at, source.seed, plan=Plan()))
        demo.poll(0, 0)  # the announcement of its partitions
        return list(demo.poll(most, 0).inputs)
    return None


def _opened(path: Path, options: Options) -> FileReader:
    if not path.is_file():
        msg = f"sample file {path} does not exist: give --sample a JSONL, CSV or Parquet file"
        raise SettingsError(msg)
    return FileReader(str(path.resolve()), Path(), options)


def _inputs(files: FileReader, most: int = MOST) -> list[Raw]:
    try:
        return list(islice(chain.from_iterable(files.batches(most)), most))
    finally:
        files.close()


def _decoded(inputs: Sequence[Raw], codec: Codec, what: str, advice: str) -> RecordSample:
    decoded = [codec.decode(raw) for raw in inputs]
    records = tuple(item.fields for item in decoded if isinstance(item, Record))
    if not records:
        dead = (item for item in decoded if not isinstance(item, Record))
        why = next((f"{item.reason}: {item.detail}" for item in dead), "it is empty")
        msg = f"cannot read any record of the {what} ({why}): {advice}"
        raise SettingsError(msg)
    there = columns(found for raw in inputs if (found := codec.fields(raw)) is not None)
    return RecordSample(records, len(inputs) - len(records), there)
