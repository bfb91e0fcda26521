"""What a worker knows of a partition that it reads. A cache: the database decides."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.store.ingest.commit import PartitionBatch, is_closed
from tidegauge_service.store.ingest.counted import PaneKey


@dataclass
class OwnedPartition:
    """A partition this worker reads: its committed position and the cache behind it."""

    next_offset: int
    panes: dict[PaneKey, PaneCounts]
    samplers: Samplers
    reached: int = 0
    """Where reading continues, committed or not; past the last input where offsets are missing."""
    drained: bool = False
    latest_event_ms: int | None = None
    """The highest committed event time: lateness of new records is measured from it
    (``lateness``)."""
    active_ms: int = 0
    """When inputs last came from it, or when the source was last asked for its end."""

    @property
    def goes_on_at(self) -> int:
        """The offset up to which there is nothing more to count."""
        return max(self.next_offset, self.reached)

    def remember(self, batch: PartitionBatch, closed: int | None) -> None:
        """Take over what was committed; forget the windows that are closed."""
        self.next_offset = batch.to_offset
        self.drained = batch.drained
        if batch.latest_event_ms is not None:
            seen = self.latest_event_ms
            self.latest_event_ms = max(batch.latest_event_ms, seen or batch.latest_event_ms)
        self.panes.update(batch.panes)
        for key in [key for key in self.panes if is_closed(key[0], closed)]:
            del self.panes[key]
        for start in [s for s in self.samplers if is_closed(s, closed)]:
            del self.samplers[start]
