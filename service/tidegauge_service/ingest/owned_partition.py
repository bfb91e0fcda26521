"""What a worker knows of a partition that it reads. A cache: the database decides."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.store.ingest.commit import PaneKey


@dataclass
class OwnedPartition:
    """A partition this worker reads: its committed position and the cache behind it."""

    next_offset: int
    panes: dict[PaneKey, PaneCounts]
    samplers: Samplers
    reached: int = 0
    """Where reading goes on, committed or not; past the last input where offsets are missing."""
    drained: bool = False
    latest_event_ms: int | None = None
    """The highest event time that is committed: what comes next is late by it (``lateness``)."""
    heard_ms: int = 0
    """When something last came of it, or its end was last asked for."""

    @property
    def goes_on_at(self) -> int:
        """The offset up to which there is nothing more to count."""
        return max(self.next_offset, self.reached)
