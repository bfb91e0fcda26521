"""JSON lines: a row a line, as bytes, so that a broken line becomes a dead letter."""

from __future__ import annotations

from collections.abc import Iterator

from tidegauge_service.ingest.sources.files.content import Content
from tidegauge_service.ingest.sources.files.rows import (
    BLANK,
    FileRow,
    is_json,
    leave_unfinished,
    too_large,
)


def read_lines(content: Content, most: int) -> Iterator[FileRow]:
    """Yield the lines from the position on; each longer than *most* bytes is cut.

    A blank line takes an offset, so that line n is offset n - 1, and is no input. A last line
    without an end may still be being written: it is yielded only if it is whole JSON already.
    """
    while True:
        start = content.position
        found = content.line(most)
        if found is None:
            return
        line, size, ended = found
        if not ended and content.grows and not _is_whole(line, size):
            leave_unfinished(content, start, size)
            return
        if size > len(line):
            yield too_large(line, size, most)
            continue
        line = line.rstrip(b"\r")
        yield FileRow(line, size + 1) if line and not line.isspace() else BLANK


def _is_whole(line: bytes, size: int) -> bool:
    return size == len(line) and (line.isspace() or is_json(line))
