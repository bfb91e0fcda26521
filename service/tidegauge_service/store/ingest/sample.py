"""A record that is kept with its votes, while nobody knows whether it will be wanted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """A kept record: where it stands, in which buckets, and what it looked like."""

    window_start_ms: int
    offset: int
    priority: int
    buckets: tuple[str, ...]
    record_id: str
    timestamp_ms: int
    payload: str
    outcomes: bytes
    segments: tuple[str, ...]
