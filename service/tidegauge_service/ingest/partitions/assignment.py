"""The partitions that a worker owns, and the cache of what the database holds of each.

A partition is in one of three states. *Owned*: it is read, and its running counts are in memory.
*Stale*: it is assigned, but what is in memory of it may be wrong (a fence, a failed commit, a new
assignment), so it is read from the database before the next poll. *Held*: the source does not
hold its next input, and nobody has accepted the gap yet.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import structlog

from tidegauge_service.errors import Fenced, SourceError
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.heartbeat import NO_LF, Beats, Phase
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.partitions.first_positions import seed
from tidegauge_service.ingest.partitions.gaps import GapAction, GapPolicy
from tidegauge_service.ingest.partitions.owned_partition import OwnedPartition
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.ingest.sources.source import Polled, Raw, Source
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.commit import PartitionBatch, PartitionState
from tidegauge_service.store.scope import StreamScope

log = structlog.get_logger()

HELD_S = 2.0
"""How often to check in the database whether a gap was accepted."""

NONE: Mapping[int, int] = MappingProxyType({})


class Assignment:
    """What one worker reads now. The source says which partitions, the database says from where."""

    def __init__(self, scope: StreamScope, source: Source, beat: Beats) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        """The name shown in the database as the owner of its partitions."""
        self.owned: dict[int, OwnedPartition] = {}
        self._scope = scope
        self._source = source
        self._beat = beat
        self._gaps = GapPolicy(scope, source)
        self._origin = origin.kept(scope.database, scope.stream)
        self._stale: set[int] = set()
        self._held_until_s: dict[int, float] = {}
        self._thresholds: dict[int, dict[str, int]] = {}
        """Sampling thresholds by window start, shared by the partitions."""
        self._assigned = False

    @property
    def drained(self) -> bool:
        """Whether everything assigned was read to its end, and committed so."""
        known = self._assigned and not self._stale and not self._held_until_s
        return known and all(owned.drained for owned in self.owned.values())

    @property
    def held(self) -> list[int]:
        """The partitions that wait for somebody to accept a gap."""
        return sorted(self._held_until_s)

    def confirm_origin(self) -> None:
        """SettingsError if the stream was given another source since the worker was made."""
        origin.confirm(self._scope.database, self._scope.stream, self._origin)

    def drop(self) -> None:
        """Forget what is in memory: believe the database alone."""
        self._stale |= self.owned.keys()
        self.owned.clear()

    def take(self, polled: Polled) -> frozenset[int]:
        """Follow what a poll said; return partitions of which nothing polled before counts."""
        self._assigned |= polled.assigned
        changed = polled.lost | polled.gained
        if changed:
            name, gained, lost = self._scope.stream.name, sorted(polled.gained), sorted(polled.lost)
            log.info("assignment", stream=name, gained=gained, lost=lost)
            for partition in polled.lost:
                self.owned.pop(partition, None)
                self._stale.discard(partition)
                self._held_until_s.pop(partition, None)
            self._assigned = True
            self.reload(polled.gained)
        if polled.out_of_range:
            self.reload(polled.out_of_range, out_of_range=polled.out_of_range)
        return changed | polled.out_of_range.keys()

    def accept(self, polled: Polled) -> list[Raw]:
        """Return the inputs of owned partitions that come for the first time.

        The compare-and-set guards positions, not what lies between them: a source that delivers
        an input again must not have it counted again.
        """
        new: list[Raw] = []
        again = 0
        for raw in polled.inputs:
            owned = self.owned.get(raw.partition)
            if owned is None:
                continue
            if raw.offset < owned.reached:
                again += 1
                continue
            owned.reached = raw.offset + 1
            new.append(raw)
        if again:
            log.warning("delivered_again", stream=self._scope.stream.name, n=again)
        for partition in polled.reached.keys() & self.owned.keys():
            owned = self.owned[partition]
            owned.reached = max(owned.reached, polled.reached[partition])
        return new

    def reload(self, partitions: Iterable[int], out_of_range: Mapping[int, int] = NONE) -> None:
        """Continue *partitions*, and those that are stale, where the database stands.

        Each is stale until it was read: if the database cannot be, the next step tries again.
        One whose position the source does not hold any more is held until that is decided on.
        *out_of_range*: partition → where its log ends, if the source has just refused a position.
        """
        now = time.monotonic()
        due = {p for p, until in self._held_until_s.items() if now >= until}
        self._stale |= set(partitions) | due
        if self._stale:  # the thresholds may be of samples that were not committed
            for thresholds in self._thresholds.values():
                thresholds.clear()  # in place: the samplers hold them, too
        self._beat(Phase.POLLING, NO_LF)
        self._gaps.load_bounds(self._stale)
        self._beat(Phase.STORING, NO_LF)
        for partition in sorted(self._stale):
            state = self._position(partition, out_of_range.get(partition))
            if state is None:
                self.owned.pop(partition, None)
                self._held_until_s[partition] = now + HELD_S
            else:
                self._held_until_s.pop(partition, None)
                self._own(partition, state)
            self._stale.discard(partition)

    def _own(self, partition: int, state: PartitionState) -> None:
        self.owned[partition] = OwnedPartition(
            state.next_offset,
            dict(state.panes),
            Samplers(self._scope.config.samples, self._thresholds, state.sampled),
            reached=state.next_offset,
            latest_event_ms=state.latest_event_ms,
        )
        self._source.seek(partition, state.next_offset)

    def _position(self, partition: int, ends_at: int | None) -> PartitionState | None:
        """Read a partition's state, moved over a gap if need be; None if it is to be held."""
        while True:
            state = self._load(partition)
            with contextlib.suppress(Fenced):  # another worker moved it: read it again
                action = self._gaps.decide(partition, state, ends_at)
                if action is GapAction.CONTINUE:
                    return state
                if action is GapAction.HOLD:
                    return None

    def _load(self, partition: int) -> PartitionState:
        """Read a partition's state.

        One that was read to its end once holds the watermark again until its new end is proved:
        there may be more since.
        """
        scope = self._scope
        while True:
            with scope.database.read() as connection:
                state = store.load_partition(connection, scope.stream, partition)
            if state is None:
                self._seed(partition)
                continue
            if not state.drained:
                return state
            reopened = PartitionBatch(partition, state.next_offset, state.next_offset)
            with contextlib.suppress(Fenced):
                transaction.commit(
                    scope.database,
                    scope.stream,
                    [reopened],
                    owner=self.owner,
                    now_ms=scope.clock(),
                )

    def _seed(self, partition: int) -> None:
        """Make the row of a partition that the source has gained since the stream was opened."""
        self.confirm_origin()
        self._beat(Phase.POLLING, NO_LF)
        if partition not in self._source.beginnings():
            msg = (
                f"partition {partition} was assigned, but the source does not have it: "
                "check whether the topic was re-created"
            )
            raise SourceError(msg)
        origin.keep(self._scope, self._source)
        seed(self._scope, self._source)
        self._beat(Phase.STORING, NO_LF)

    def remember(self, batches: Sequence[PartitionBatch], closed: int | None) -> None:
        """Bring the cache up to a commit, and forget the windows that are closed."""
        for batch in batches:
            self.owned[batch.partition].remember(batch, closed)
        for start in [s for s in self._thresholds if store.is_closed(s, closed)]:
            del self._thresholds[start]
