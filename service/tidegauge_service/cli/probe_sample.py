"""Records of a file, to try LFs on before there is a stream."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from msgspec import structs

from tidegauge_probes.model import Fields, Record
from tidegauge_service.clock import now_ms
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec import Codec
from tidegauge_service.ingest.files.source import FileSource
from tidegauge_service.stream_config import Limits, RecordMapping

MOST = 5_000
"""Records of a sample: enough to see what fires at all, few enough to wait for."""


@dataclass(frozen=True)
class Sample:
    """The fields of the first records of a file, and how many inputs were no records."""

    records: tuple[Fields, ...]
    unread: int


def read_sample(path: Path) -> Sample:
    """Read JSONL, CSV or Parquet; SettingsError if that gives no record."""
    if not path.is_file():
        msg = f"there is no sample {path}: give --sample a JSONL, CSV or Parquet file"
        raise SettingsError(msg)
    source = FileSource(str(path.resolve()), Path())
    codec = Codec(RecordMapping(id=None, timestamp="@source"), Limits(), now_ms)
    inputs = list(islice(chain.from_iterable(source.batches(MOST)), MOST))
    source.close()
    # Only the fields matter here: ids and times are the stream's business.
    decoded = [codec.decode(structs.replace(raw, timestamp_ms=0)) for raw in inputs]
    records = tuple(item.fields for item in decoded if isinstance(item, Record))
    if not records:
        why = next((item.reason for item in decoded if not isinstance(item, Record)), "it is empty")
        msg = f"no record of the sample {path} can be read ({why}): write one JSON object a line"
        raise SettingsError(msg)
    return Sample(records, len(inputs) - len(records))
