"""Where to go on: at the position, unless the source does not hold it any more.

A source that forgets (``Retained``) may have removed what was not read yet, lost what was, or be
another one of the same name. That is never stepped over in silence: see ``store.decisions``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, auto

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.ingest.gap_notice import GapNotice
from tidegauge_service.ingest.sources.source import Retained, Source
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.ingest.commit import PartitionState
from tidegauge_service.store.ingest.gap import Gap, GapCause
from tidegauge_service.store.scope import StreamScope

log = structlog.get_logger()


class GapAction(Enum):
    """How a partition goes on."""

    CONTINUE = auto()  # where it stands
    MOVED = auto()  # it was moved over a gap: read its state again
    HOLD = auto()  # not at all, until somebody accepts the gap


class GapPolicy:
    """Decides where the partitions of one stream go on."""

    def __init__(self, scope: StreamScope, source: Source) -> None:
        self._scope = scope
        self._source = source
        kind = scope.config.source
        halts = isinstance(kind, KafkaSource) and kind.on_gap == "halt"
        self._by = None if halts else "source.on_gap: continue"
        self._identity: str | None = None
        self._bounds: Mapping[int, tuple[int, int]] = {}

    def load_bounds(self, partitions: Collection[int]) -> None:
        """Ask the source what it holds of these partitions; call it before ``decide``."""
        if partitions and isinstance(self._source, Retained):
            self._identity = self._source.identity()
            self._bounds = self._source.held(sorted(partitions))

    def decide(self, partition: int, state: PartitionState, ends_at: int | None) -> GapAction:
        """Decide how a partition goes on that stands at *state*, and record it if it is moved.

        *ends_at*: the source has just refused the position; its log ends there. Raises Fenced.
        """
        source, held = self._source, self._bounds.get(partition)
        if held is None or not isinstance(source, Retained):
            return GapAction.CONTINUE
        gap = find_gap(partition, state, self._identity, held, ends_at)
        if gap is None:
            return GapAction.CONTINUE
        by = self._by or self._ask_for_decision(gap)
        if by is None:
            source.hold(partition)
            return GapAction.HOLD
        self._move(gap, by, source.beginnings().keys())
        return GapAction.MOVED

    def _ask_for_decision(self, gap: Gap) -> str | None:
        """Return who has accepted the gap. If nobody has, notify the receivers."""
        now = self._scope.clock()
        text = (
            f"{describe(gap)}. The partition is paused until you accept the gap: "
            f"{notices.GAP_ADVICE}"
        )
        with self._scope.database.write() as connection:
            by = decisions.ask(connection, self._scope.stream, gap, now)
            if by is None:
                self._notice(gap, text).fire(connection, now)
        if by is None:
            log.error("data_gap", stream=self._scope.stream.name, gap=text)
        return by

    def _move(self, gap: Gap, by: str, existing: Collection[int]) -> None:
        stream, now = self._scope.stream, self._scope.clock()
        text = f"{describe(gap)} (decided by {by})"
        with self._scope.database.write() as connection:
            decisions.go_on(connection, stream, gap, by=by, now_ms=now, existing=existing)
            notice = self._notice(gap, text)
            if self._by:
                notice.show(connection, now)
            else:
                notice.resolve(connection, now)
        log.error("data_gap", stream=stream.name, gap=text)

    def _notice(self, gap: Gap, text: str) -> GapNotice:
        scope = self._scope
        return GapNotice(scope.stream, scope.receivers, gap, text, scope.url)


def find_gap(
    partition: int,
    state: PartitionState,
    identity: str | None,
    held: tuple[int, int],
    ends_at: int | None,
) -> Gap | None:
    """Return what is between the position and what the source holds; None if it holds it.

    With offsets 100…199 held: a position of 40 is RETENTION, 60 are lost; one of 230 that the
    source has refused is TRUNCATED, and goes on at 200; 150 is well, unless it was a position in
    another topic.
    """
    at, (first, end) = state.next_offset, held
    if identity and state.topic_id and identity != state.topic_id:
        unread = max(0, (state.end_offset or 0) - at)
        return Gap(partition, GapCause.RECREATED, at, first, unread, identity)
    topic = identity or state.topic_id
    if at < first:
        return Gap(partition, GapCause.RETENTION, at, first, first - at, topic)
    if ends_at is not None and at > min(end, ends_at):
        return Gap(partition, GapCause.TRUNCATED, at, min(end, ends_at), 0, topic)
    return None


def describe(gap: Gap) -> str:
    """Return a gap in words.

    >>> describe(Gap(3, GapCause.RETENTION, 40, 100, 60, None))
    'the topic no longer holds offset 40 (retention); resuming at 100, 60 inputs were never read'
    """
    lost = f", {gap.lost} inputs were never read" if gap.lost else ""
    return (
        f"the topic no longer holds offset {gap.from_offset} ({gap.cause}); "
        f"resuming at {gap.to_offset}{lost}"
    )
