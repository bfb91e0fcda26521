"""What a reader of a file gives: one row for each offset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.sources.files.content import Content

log = structlog.get_logger()


class FileRow(msgspec.Struct, frozen=True, gc=False):
    """One row. ``value`` None: it is blank, which takes an offset and is no input."""

    value: bytes | Mapping[str, Any] | None
    size: int
    reason: DeadLetterReason | None = None
    fault: str | None = None


BLANK = FileRow(None, 1)


def too_large(head: bytes, size: int, most: int) -> FileRow:
    """Return a row of which only the beginning was kept."""
    return FileRow(
        head, size, DeadLetterReason.TOO_LARGE, f"{size} bytes; limits.max_record_bytes is {most}"
    )


def is_json(value: bytes) -> bool:
    """Whether it is a whole JSON value."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def leave_unfinished(content: Content, start: int, size: int) -> None:
    """Go back before an end of a file that is no whole record, and say so."""
    content.seek(start)
    log.warning(
        "unfinished_line",
        file=str(content.path),
        bytes=size,
        advice=(
            "the last line has no line end and is not a complete record: it is read "
            "once it is finished"
        ),
    )
