"""What counting a record leaves behind, besides the counts themselves."""

from __future__ import annotations

from dataclasses import dataclass

PaneKey = tuple[int, str]
"""Window start, ProbeSet."""


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
