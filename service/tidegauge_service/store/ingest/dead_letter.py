"""An input that could not be a record: what the codec makes of it, and the database keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An input that could not be a record."""

    partition: int
    offset: int
    reason: str
    detail: str
    payload: bytes
    size: int
    timestamp_ms: int | None = None
    """The source's own timestamp, which a replay may need."""
    key: str | None = None
    """Of an event of a `log`: the digest of the id that it gave up (``event_keys``)."""
