"""Files as a source: JSONL, CSV or Parquet, gzipped or not. A file is a partition, a row an offset.

For replays and backtests. CSV and Parquet rows are fields already; JSONL lines stay bytes, so
that a broken line becomes a dead letter and not the end of the run.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.source import Polled, Raw

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")

MAX_CSV_FIELD = 64 * 2**20
"""The csv module stops at 128 KiB, well below limits.max_record_bytes; a quote that is never
closed must still not read the whole file into one field."""


class FileSource:
    """Reads files of a glob in the order of their names."""

    def __init__(self, pattern: str, folder: Path) -> None:
        self._paths = _matching(pattern, folder)
        if not self._paths:
            msg = f"no file matches {folder / pattern}: check source.path in the stream file"
            raise SourceError(msg)
        for path in self._paths:
            _format(path)
        self._readers: dict[int, Iterator[Raw]] = {}
        self._ends: dict[int, int] = {}
        self._sought: dict[int, int] = {}
        self._announced = False

    def beginnings(self) -> dict[int, int]:
        """Return the files, each starting at row 0."""
        return dict.fromkeys(range(len(self._paths)), 0)

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the next rows of the first file that has any."""
        del timeout_s  # a file never keeps one waiting
        if not self._announced:
            self._announced = True
            return Polled(gained=frozenset(range(len(self._paths))))
        for partition in range(len(self._paths)):
            if partition in self._ends:
                continue
            inputs = self._read(partition, max_records)
            if inputs:
                return Polled(inputs)
        return Polled()

    def _read(self, partition: int, max_records: int) -> list[Raw]:
        if partition not in self._readers:
            self._readers[partition] = self._rows(partition, self._sought.get(partition, 0))
        try:
            inputs = list(islice(self._readers[partition], max_records))
        except (OSError, EOFError, csv.Error, pa.ArrowException, UnicodeDecodeError) as error:
            # A generator that raised looks exhausted from now on: as if the file ended here.
            del self._readers[partition]
            msg = f"cannot read {self._paths[partition]}: {error}"
            raise SourceError(msg) from error
        if inputs:
            self._sought[partition] = inputs[-1].offset + 1
        else:
            self._ends[partition] = self._sought.get(partition, 0)
        return inputs

    def _rows(self, partition: int, start: int) -> Iterator[Raw]:
        values = islice(enumerate(_values(self._paths[partition])), start, None)
        return (Raw(partition, offset, value) for offset, value in values)

    def seek(self, partition: int, offset: int) -> None:
        """Continue a file at a row."""
        self._readers.pop(partition, None)
        self._ends.pop(partition, None)
        self._sought[partition] = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the length of the files that were read to their end; others are unknown yet."""
        return {p: self._ends[p] for p in partitions if p in self._ends}

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Close the files."""
        self._readers.clear()


def _matching(pattern: str, folder: Path) -> list[Path]:
    """Return the files of a pattern; a file of exactly that name is meant before any pattern."""
    if (folder / pattern).is_file():
        return [folder / pattern]
    return [folder / name for name in sorted(glob.glob(pattern, root_dir=folder))]  # noqa: PTH207  (absolute patterns too)


def _format(path: Path) -> str:
    suffixes = [s for s in path.suffixes if s != ".gz"]
    kind = suffixes[-1].lower() if suffixes else ""
    if kind not in FORMATS:
        msg = (
            f"cannot tell the format of {path}: name it .jsonl, .csv or .parquet (with .gz or not)"
        )
        raise SourceError(msg)
    return kind


def _values(path: Path) -> Iterator[bytes | Mapping[str, Any]]:
    kind = _format(path)
    if kind == ".parquet":
        yield from _parquet(path)
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        if kind == ".csv":
            csv.field_size_limit(MAX_CSV_FIELD)
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            for row in csv.DictReader(text):
                yield {k: v for k, v in row.items() if isinstance(k, str)}
        else:
            for line in file:
                yield line.rstrip(b"\r\n")


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=5_000):
            yield from batch.to_pylist()
