"""What a file holds, by its name or by the stream file, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from tidegauge_service.config.sources import CsvDialect, FileSource
from tidegauge_service.config.stream_file import Limits, StreamConfig
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.content import Content
from tidegauge_service.ingest.sources.files.documents import read_json
from tidegauge_service.ingest.sources.files.identity import Mark, digest
from tidegauge_service.ingest.sources.files.lines import read_lines
from tidegauge_service.ingest.sources.files.rows import FileRow
from tidegauge_service.ingest.sources.files.tables import Table

FORMATS: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}

_ROTATED: Final = re.compile(r"(\.gz|\.\d+|-\d{8,})*$", re.IGNORECASE)
"""Suffixes that log rotation appends: events.jsonl.1, events.jsonl.2.gz, events.jsonl-20200315."""

PARQUET_ROWS: Final = 5_000
"""Maximum Parquet rows decoded at once; fewer when they are large."""


@dataclass(frozen=True, slots=True)
class Options:
    """How files are read. Sizes are bytes.

    ``encoding_from``: the setting or option that the encoding of tables comes from, for messages;
    empty if there is none to set.
    """

    format: str | None = None
    csv: CsvDialect = field(default_factory=CsvDialect)
    encoding_from: str = "source.csv.encoding"
    max_record_bytes: int = Limits().max_record_bytes
    batch_bytes: int = Limits().batch_bytes


def options_of(config: StreamConfig) -> Options:
    """Return how the files of a stream are read; defaults for another source."""
    source, limits = config.source, config.limits
    if isinstance(source, FileSource):
        return Options(
            source.format,
            source.csv,
            max_record_bytes=limits.max_record_bytes,
            batch_bytes=limits.batch_bytes,
        )
    return Options(max_record_bytes=limits.max_record_bytes, batch_bytes=limits.batch_bytes)


def named_format(path: Path) -> str | None:
    """Return the format that a file's name states, if any."""
    return FORMATS.get(Path(_ROTATED.sub("", path.name)).suffix.lower())


def format_of(path: Path, options: Options) -> str:
    """Return the format of a file; SourceError says how to name it."""
    if options.format is not None:
        return options.format
    found = named_format(path)
    if found is None:
        msg = (
            f"cannot tell the format of {path}: rename it to .jsonl, .csv or .parquet "
            "(or .json, .tsv; with or without .gz), or set source.format"
        )
        raise SourceError(msg)
    return found


def can_resume(format_: str) -> bool:
    """Whether reading can go on in the middle of the bytes."""
    return format_ in {"jsonl", "csv", "tsv"}


def open_rows(
    path: Path, options: Options, offset: int, mark: Mark | None
) -> tuple[Content | None, Iterator[FileRow]]:
    """Open a file: its content, if it is one of bytes, and its rows from *offset* on.

    *mark*: a place before it; without one the rows before are read over. SourceError if the bytes
    before the mark are not what they were.
    """
    format_ = format_of(path, options)
    if format_ == "parquet":
        return None, _parquet(path, options, offset)
    content = Content(path)
    try:
        rows = _opened(content, format_, options, mark)
        for _ in range(offset - (mark.offset if mark else 0)):
            if next(rows, None) is None:
                break
    except BaseException:
        content.close()
        raise
    return content, rows


def _opened(
    content: Content, format_: str, options: Options, mark: Mark | None
) -> Iterator[FileRow]:
    content.start()
    most = options.max_record_bytes
    if format_ == "json":
        return read_json(content, most)
    if format_ == "jsonl":
        rows = read_lines(content, most)
    else:
        dialect = options.csv
        if format_ == "tsv" and dialect.delimiter is None:
            dialect = dialect.model_copy(update={"delimiter": "\t"})
        rows = Table(content, dialect, most, options.encoding_from).rows()
    if mark is not None:
        content.seek(mark.byte)
        if digest(content.tail()) != mark.tail:
            msg = f"{content.path} was rewritten while it was being read: start again"
            raise SourceError(msg)
        content.pass_line_end()
    return rows


def _parquet(path: Path, options: Options, offset: int) -> Iterator[FileRow]:
    """Yield rows; row groups before *offset* are not decoded."""
    with pq.ParquetFile(path) as file:
        groups: list[int] = []
        first, size = 0, 1
        for i in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(i)
            size = max(size, group.total_byte_size // max(group.num_rows, 1))
            if first + group.num_rows <= offset and not groups:
                first += group.num_rows
            else:
                groups.append(i)
        at_once = max(1, min(PARQUET_ROWS, options.batch_bytes // size))
        skipped = offset - first
        for batch in file.iter_batches(batch_size=at_once, row_groups=groups):
            for fields in batch.to_pylist():
                if skipped > 0:
                    skipped -= 1
                    continue
                yield FileRow(fields, size)
