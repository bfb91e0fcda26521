"""CSV and TSV: a row a record, as fields. What is no proper row is a dead letter with its bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from tidegauge_service.config.sources import CsvDialect
from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.sources.files.content import Content
from tidegauge_service.ingest.sources.files.rows import BLANK, FileRow, leave_unfinished, too_large

log = structlog.get_logger()

DELIMITERS: Final = (",", ";", "\t", "|")

MAX_FIELD: Final = 2**31 - 1
"""The csv module's own limit is 128 KiB. Row sizes are limited here instead, by ``most``."""


class _Broken(Exception):  # noqa: N818  (a verdict on a row, which ends in this module)
    """A row that does not end where it should."""


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, and what parts them."""

    delimiter: str
    columns: tuple[str, ...]


class Table:
    """Reads one table from its start; ``rows`` goes on wherever the content stands."""

    def __init__(
        self, content: Content, dialect: CsvDialect, most: int, encoding_from: str
    ) -> None:
        """Read the header; SourceError if it cannot be one.

        *encoding_from*: the setting or option that names the encoding; empty if there is none.
        """
        self._encoding_from = encoding_from
        csv.field_size_limit(MAX_FIELD)
        self._content = content
        self._dialect = dialect
        self._most = most
        self._quote = dialect.quote.encode()
        self._undecodable = ""
        """Decoding error in the current row."""
        self._reader: Iterator[list[str]] | None = None
        self._next: bytes | None = None
        """The next line for the csv module; None: take it from the content."""
        self._spent = 0
        self.header = self._read_header()

    def _read_header(self) -> Header | None:
        """Return the header; None if it is not there (yet)."""
        content, given = self._content, self._dialect.delimiter
        while True:
            found = content.line(self._most)
            if found is None:
                return None
            line, size, ended = found
            if not ended and content.grows:
                leave_unfinished(content, content.position - size, size)
                return None
            text = self._decoded(line.rstrip(b"\r"))
            if text.lower().startswith("sep=") and len(text) == len("sep=;"):  # Excel's hint
                given = given or text[-1]
            elif text.strip():
                break
        if self._undecodable:
            setting = self._encoding_from
            correct = f"correct {setting}" if setting else "convert the file to UTF-8"
            msg = f"cannot read the header of {content.path}: {self._undecodable}; {correct}"
            raise SourceError(msg)
        header = _header(text, given, self._dialect.quote)
        _check(header, text, content)
        log.info(
            "csv_dialect",
            file=str(content.path),
            delimiter=header.delimiter,
            encoding=self._dialect.encoding,
            columns=len(header.columns),
            sniffed=given is None,
        )
        return header

    def rows(self) -> Iterator[FileRow]:
        """Yield the rows from the position on. Blank lines take an offset and are no input."""
        content, header = self._content, self.header
        if header is None:
            return
        while True:
            start = content.position
            found = content.line(self._most)
            if found is None:
                return
            line, size, ended = found
            if size > len(line):
                yield too_large(line, size, self._most)
            elif not line.strip():
                yield BLANK
            else:
                content.hold(start)
                row = self._row(header, start, line, ended=ended)
                content.release()
                if row is None:
                    return
                yield row

    def _row(self, header: Header, start: int, line: bytes, *, ended: bool) -> FileRow | None:
        """Return the row that begins with *line*; None if it is not finished yet."""
        content, after = self._content, self._content.position
        self._undecodable = ""
        try:
            cells = self._cells(header, line)
        except _Broken as broken:
            if content.grows and not ended:
                leave_unfinished(content, start, len(line))
                return None
            content.back(after)  # only the line itself: what follows may be well
            return FileRow(line, len(line), DeadLetterReason.NOT_CSV, str(broken))
        raw = content.between(start, content.position).rstrip(b"\r\n")
        if self._undecodable:
            return FileRow(raw, len(raw), DeadLetterReason.NOT_UTF8, self._undecodable)
        n, wanted = len(cells), len(header.columns)
        if n < wanted and not ended and content.grows:
            leave_unfinished(content, start, len(line))
            return None
        if n != wanted:
            return FileRow(
                raw,
                len(raw),
                DeadLetterReason.RAGGED_ROW,
                f"{n} cells, but the header has {wanted}",
            )
        return FileRow(dict(zip(header.columns, cells, strict=True)), len(raw))

    def _cells(self, header: Header, line: bytes) -> Sequence[str]:
        if not self._quote or self._quote not in line:
            return self._decoded(line.rstrip(b"\r")).split(header.delimiter)
        self._next, self._spent = line, 0
        if self._reader is None:
            self._reader = csv.reader(
                self, delimiter=header.delimiter, quotechar=self._dialect.quote, strict=True
            )
        try:
            return next(self._reader)
        except (csv.Error, StopIteration) as error:
            msg = f"a quote is not closed, or is followed by other text: {error}"
            raise _Broken(msg) from error

    def __iter__(self) -> Iterator[str]:
        """Be what the csv module reads lines from: those that a quoted cell may span."""
        return self

    def __next__(self) -> str:
        """Return the next line of the current row, up to the maximum record size."""
        line = self._next
        if line is None:
            found = self._content.line(self._most)
            if found is None:
                raise StopIteration
            line = found[0]
        self._next = None
        self._spent += len(line) + 1
        if self._spent > self._most + 1:
            msg = f"a quote is not closed within {self._most} bytes (limits.max_record_bytes)"
            raise _Broken(msg)
        return self._decoded(line) + "\n"

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode(self._dialect.encoding)
        except UnicodeDecodeError as error:
            setting = f" ({self._encoding_from})" if self._encoding_from else ""
            self._undecodable = f"not {self._dialect.encoding}{setting}: {error}"
            return line.decode(self._dialect.encoding, "surrogateescape")


def _header(text: str, given: str | None, quote: str) -> Header:
    """Part the header's names by what is given, or by what makes the most of them.

    >>> _header('id;text, if any', None, '"').columns
    ('id', 'text, if any')
    """
    found = [(d, _names(text, d, quote)) for d in ([given] if given else DELIMITERS)]
    delimiter, columns = max(found, key=lambda item: len(item[1]))
    unmatched = len(columns) == 1 and not all(names for _, names in found)
    return Header(delimiter, () if unmatched else columns)


def _names(text: str, delimiter: str, quote: str) -> tuple[str, ...]:
    if not quote:
        return tuple(text.split(delimiter))
    try:
        return tuple(next(csv.reader([text], delimiter=delimiter, quotechar=quote, strict=True)))
    except csv.Error:
        return ()


def _check(header: Header, text: str, content: Content) -> None:
    names = header.columns
    twice = next((name for name in names if names.count(name) > 1), None)
    if "\r" in text:
        why = "its lines end with CR only: convert them (`tr '\\r' '\\n'`)"
    elif not names:
        why = "its quotes do not match"
    elif "" in names:
        why = f"column {names.index('') + 1} of {len(names)} has no name: give it one"
    elif twice is not None:
        why = f"two columns are named '{twice}': rename one"
    else:
        return
    msg = f"cannot read the header of {content.path}: {why}"
    raise SourceError(msg)
