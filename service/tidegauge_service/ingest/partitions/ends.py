"""Where the partitions of a source end: to tell the lag, and to prove that all was read.

No idle timer: only a position proved equal to the end moves a silent partition's watermark, and
only its owner can prove it. How far it moves is decided by ``idleness``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidegauge_service.config.sources import KafkaSource, LogSource
from tidegauge_service.ingest.heartbeat import NO_LF, Beats, Phase
from tidegauge_service.ingest.partitions.idleness import Idleness
from tidegauge_service.ingest.partitions.owned_partition import OwnedPartition
from tidegauge_service.ingest.sources.source import Source, bookmark
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import arrivals
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.scope import StreamScope

NOTE_EVERY_MS = 5_000
"""How often to ask the source for its ends, to compute the lag."""

Owned = Mapping[int, OwnedPartition]


class PartitionEnds:
    """Asks one worker's source where its partitions end."""

    def __init__(self, scope: StreamScope, source: Source, beat: Beats) -> None:
        self.latest: Mapping[int, int] = {}
        """Partition → its end when last recorded."""
        self._scope = scope
        self._source = source
        self._beat = beat
        self._noted_ms = 0
        self._idleness: Idleness | None = None  # of sources that have an end and go on
        kind = scope.config.source
        if isinstance(kind, KafkaSource | LogSource):
            self._idleness = Idleness(kind.idle_grace, kind.silence_grace)

    def note(self, partitions: Sequence[int]) -> None:
        """Ask for the ends of the partitions and keep them, unless that was done seconds ago.

        Before the LFs run: if one of them kills the worker, the lag must still be seen to grow.
        """
        now = self._scope.clock()
        if abs(now - self._noted_ms) < NOTE_EVERY_MS:  # clocks jump
            return
        self.latest = self._ask(partitions)
        self._beat(Phase.STORING, NO_LF)
        with self._scope.database.write() as connection:
            streams.note_ends(connection, self._scope.stream.id, self.latest, now)
        self._noted_ms = now

    def proofs(
        self, owned: Owned, batches: Sequence[PartitionBatch], *, finite: bool
    ) -> list[PartitionBatch]:
        """Return a batch for each partition without inputs that is proved read to its end.

        *batches*: those of the partitions with inputs. *finite*: the end is the end for good.
        """
        if self._idleness is None and not finite:
            return []
        now = self._scope.clock()  # before asking for the ends: what comes later is not covered
        busy = {batch.partition for batch in batches}
        for partition in busy:
            owned[partition].active_ms = now
        quiet = self._quiet(owned, busy, now, finite=finite)
        # Before asking for the ends, too: the proof must cover what the watermark follows.
        watermark = self._watermark(now, arriving=bool(batches)) if quiet and not finite else None
        ends = self._ask(quiet) if quiet else {}
        for partition in ends:
            owned[partition].active_ms = now
        return [
            PartitionBatch(
                partition,
                owned[partition].next_offset,
                owned[partition].goes_on_at,
                watermark_ms=watermark,
                end_offset=end,
                drained=finite,
                mark=bookmark(self._source, partition, owned[partition].goes_on_at),
            )
            for partition, end in sorted(ends.items())
            if end <= owned[partition].goes_on_at
        ]

    def _quiet(self, owned: Owned, busy: set[int], now: int, *, finite: bool) -> list[int]:
        """Return the partitions that may have been fully read."""
        interval = self._scope.config.limits.commit_interval
        return [
            partition
            for partition, state in owned.items()
            if partition not in busy
            and not state.drained
            and (finite or abs(now - state.active_ms) >= interval)  # clocks jump
        ]

    def _watermark(self, now: int, *, arriving: bool) -> int | None:
        """Return where the watermark of a partition may be that is read to its end."""
        if self._idleness is None:
            return None
        with self._scope.database.read() as connection:
            found = arrivals.of_stream(connection, self._scope.stream.id)
        return self._idleness.watermark(replace(found, heard_ms=now) if arriving else found, now)

    def _ask(self, partitions: Sequence[int]) -> dict[int, int]:
        self._beat(Phase.POLLING, NO_LF)
        return self._source.ends(partitions)
