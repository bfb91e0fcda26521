"""Where to go on: at the position, unless the source does not hold it any more.

A source that forgets (``Retained``) may have removed what was not read yet, lost what was, or be
another one of the same name. That is never stepped over in silence: see ``store.decisions``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, auto

import structlog

from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import KafkaSource, StreamConfig
from tidegauge_service.ingest import origin
from tidegauge_service.ingest.gap_notice import GapNotice
from tidegauge_service.ingest.sources.files.registration import ADVICE, number_files
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Retained, Source
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.ingest.commit import PartitionState
from tidegauge_service.store.ingest.decisions import Gap, GapCause
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()


def seed(
    database: Database, config: StreamConfig, stream: StreamRow, source: Source, now_ms: int
) -> None:
    """Make the rows of partitions that have none.

    The first time they start where the source says. A partition that a topic has grown by later
    is read from its beginning, whatever ``start`` says: nobody has said of its inputs that they
    shall not be counted.
    """
    origin.keep(database, config, stream, source)
    if isinstance(source, FileReader):
        number_files(database, config, stream, source, now_ms)
        return
    starts = source.beginnings()
    identity = source.identity() if isinstance(source, Retained) else None
    with database.read() as connection:
        rows = streams.partitions(connection, stream.id)
    known = {row.partition for row in rows if row.partition >= 0}  # of this source
    new = sorted(starts.keys() - known)
    grown: dict[int, int] = {}
    if new and known and isinstance(source, Retained):
        grown = {p: first for p, (first, _) in source.held(new).items()}
    with database.write() as connection:
        streams.seed_partitions(connection, stream.id, starts | grown, now_ms, topic_id=identity)
        decisions.record_added(connection, stream, grown, identity, now_ms)


class GapAction(Enum):
    """How a partition goes on."""

    ON = auto()  # where it stands
    MOVED = auto()  # over a gap: read its state again
    HELD = auto()  # not at all, until somebody accepts the gap


class GapPolicy:
    """Decides where the partitions of one stream go on."""

    def __init__(
        self,
        config: StreamConfig,
        stream: StreamRow,
        source: Source,
        database: Database,
        clock: Clock,
        *,
        url: str = "",
    ) -> None:
        self._stream = stream
        self._receivers = tuple(config.alerts.receivers)
        self._url = url
        self._source = source
        self._database = database
        self._clock = clock
        halts = isinstance(config.source, KafkaSource) and config.source.on_gap == "halt"
        self._by = None if halts else "source.on_gap: continue"
        self._identity: str | None = None
        self._held: Mapping[int, tuple[int, int]] = {}

    def survey(self, partitions: Collection[int]) -> None:
        """Ask the source what it holds; before ``way`` is asked of these partitions."""
        if partitions and isinstance(self._source, Retained):
            self._identity = self._source.identity()
            self._held = self._source.held(sorted(partitions))

    def way(self, partition: int, state: PartitionState, ends_at: int | None) -> GapAction:
        """Say how a partition goes on that stands at *state*, and record it if it is moved.

        *ends_at*: the source has just refused the position; its log ends there. Raises Fenced.
        """
        source, held = self._source, self._held.get(partition)
        if held is None or not isinstance(source, Retained):
            return GapAction.ON
        gap = find_gap(partition, state, self._identity, held, ends_at)
        if gap is None:
            return GapAction.ON
        by = self._by or self._ask(gap)
        if by is None:
            source.hold(partition)
            return GapAction.HELD
        self._go_on(gap, by, source.beginnings().keys())
        return GapAction.MOVED

    def _ask(self, gap: Gap) -> str | None:
        """Return who has accepted the gap. If nobody has, people hear that it waits for them."""
        now, said = self._clock(), f"{describe(gap)}. Nothing of it is read: {ADVICE}"
        with self._database.write() as connection:
            by = decisions.ask(connection, self._stream, gap, now)
            if by is None:
                self._notice(gap, said).fire(connection, now)
        if by is None:
            log.error("data_gap", stream=self._stream.name, gap=said)
        return by

    def _go_on(self, gap: Gap, by: str, existing: Collection[int]) -> None:
        now, said = self._clock(), f"{describe(gap)} (decided by {by})"
        with self._database.write() as connection:
            decisions.go_on(connection, self._stream, gap, by=by, now_ms=now, existing=existing)
            if self._by:
                self._notice(gap, said).show(connection, now)
            else:
                self._notice(gap, said).resolve(connection, now)
        log.error("data_gap", stream=self._stream.name, gap=said)

    def _notice(self, gap: Gap, said: str) -> GapNotice:
        return GapNotice(self._stream, self._receivers, gap, said, self._url)


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

    >>> describe(Gap(3, Cause.RETENTION, 40, 100, 60, None))
    'the topic no longer holds offset 40 (retention); resuming at 100, 60 inputs were never read'
    """
    lost = f", {gap.lost} inputs were never read" if gap.lost else ""
    return (
        f"the topic no longer holds offset {gap.from_offset} ({gap.cause}); "
        f"resuming at {gap.to_offset}{lost}"
    )
