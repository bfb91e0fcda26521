"""The worker: polls, decodes, runs the LFs, counts, and commits, one batch at a time.

Its memory (running counts per window, sampler thresholds) is only a cache of what the
database has proved. On a fence, a failed commit or a new assignment it is dropped and read
again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Record
from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import KafkaSource, LogSource, StreamConfig
from tidegauge_service.errors import DataRefused, SourceError, StreamHalted
from tidegauge_service.ingest import lateness, origin, transaction
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.dead_letter_share import DeadLetterShare
from tidegauge_service.ingest.gaps import GapAction, GapPolicy, seed
from tidegauge_service.ingest.heartbeat import NO_LF, Beats, Phase, no_beat
from tidegauge_service.ingest.idleness import Idleness
from tidegauge_service.ingest.open_deployments import (
    Columns,
    Lift,
    OpenDeployments,
    ProbeSetCache,
    Votes,
    fold,
)
from tidegauge_service.ingest.owned_partition import OwnedPartition
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.ingest.sources.files.registration import ADVICE
from tidegauge_service.ingest.sources.source import (
    Bookmarked,
    Member,
    Raw,
    Source,
    Weighed,
    is_tombstone,
    weight,
)
from tidegauge_service.metrics import meters
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import arrivals, quarantine
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.commit import Fenced, PartitionBatch, PartitionState, Superseded
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

ENDS_EVERY_MS = 5_000
"""How often the source is asked for its ends, to tell the lag."""

LOOK_EVERY_S = 2.0
"""How often quarantine and epoch are read: an LF that another worker's watchdog has stopped, or
that somebody has released, is known after so long."""

HELD_S = 2.0
"""How often it is asked whether a gap was accepted."""

EMPTY: Mapping[int, int] = MappingProxyType({})


def _unheard(_columns: Columns) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step did."""

    records: int = 0
    dead_letters: int = 0
    committed: bool = False
    closed_through_ms: int | None = None


class Worker:
    """Reads the partitions that its source assigns to it."""

    def __init__(
        self,
        config: StreamConfig,
        stream: StreamRow,
        probe_set: ProbeSet,
        source: Source,
        database: Database,
        *,
        clock: Clock,
        beat: Beats = no_beat,
        url: str = "",
        codec: Codec | None = None,
        lift: Lift | None = None,
        renewed: Callable[[Columns], None] = _unheard,
    ) -> None:
        """Make a worker; *beat* hears what it is doing (``heartbeat.Phase``, and which LF).

        *probe_set* is one of its deployments, perhaps; the others are loaded when they are needed.
        *url*: where people find the page; messages link to it. *codec*: JSON's if not given.
        *lift* lifts LFs; *renewed* hears of the LFs that may be called, when they change.
        """
        self._beat = beat
        self._cache = (
            ProbeSetCache(config, [probe_set], lift) if lift else ProbeSetCache(config, [probe_set])
        )
        self._deployments: OpenDeployments | None = None
        self._renewed = renewed
        self._quarantined: Mapping[str, frozenset[int]] = {}
        self._looked_s: float | None = None
        self._config = config
        self._stream = stream
        self._source = source
        self._database = database
        self._clock = clock
        self._codec = codec or Codec(config.record, config.limits, clock)
        self._judge = DeadLetterShare(config.limits.dead_letter_share)
        self._most = config.limits.commit_records
        self._refused: dict[tuple[int, int], str] = {}
        self._owned: dict[int, OwnedPartition] = {}
        self._limits: dict[int, dict[str, int]] = {}
        """Of the samples, by window start: shared by the partitions."""
        self._stale: set[int] = set()
        self._origin = origin.kept(database, stream)
        self._places = GapPolicy(config, stream, source, database, clock, url=url)
        self._held_until_s: dict[int, float] = {}
        self._idleness: Idleness | None = None  # of sources that have an end and go on
        if isinstance(config.source, KafkaSource | LogSource):
            self._idleness = Idleness(config.source.idle_grace, config.source.silence_grace)
        self._assigned = False
        self._ends: dict[int, int] = {}
        self._asked_ms = 0
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions it reads now."""
        return frozenset(self._owned)

    @property
    def drained(self) -> bool:
        """Whether everything it reads was read to its end, and committed so."""
        known = self._assigned and not self._stale and not self._held_until_s
        return known and all(owned.drained for owned in self._owned.values())

    def begin_with(self, inputs: int) -> None:
        """Take at most so many inputs at first; the batch doubles with each commit."""
        self._most = max(1, min(inputs, self._config.limits.commit_records))

    def step(self, timeout_s: float = 0.1, *, finite: bool = False) -> Progress:
        """Gather one batch and commit it.

        *finite*: the end of a partition is the end (files, a topic that is read once): it is
        marked drained, and does not hold the watermark. Raises SourceError, StoreError,
        StreamHalted; after any of them nothing is lost, and the next step reads again from
        where the database stands.
        """
        try:
            return self._step(timeout_s, finite=finite)
        except Exception:
            # What was polled was dropped, or nobody knows whether it was committed: believe the
            # database, not the memory.
            self._stale |= self._owned.keys()
            self._owned.clear()
            raise

    def rest(self, timeout_s: float) -> None:
        """Take nothing for so long and stay in the group: what is owned was dropped (``step``)."""
        if isinstance(self._source, Member):
            self._beat(Phase.POLLING, NO_LF)
            self._source.rest(timeout_s)
            self._beat(Phase.WAITING, NO_LF)
        else:
            self._beat(Phase.WAITING, NO_LF)
            time.sleep(timeout_s)

    def renew(self) -> OpenDeployments:
        """Load the deployments that count now, unless that was done.

        Raises ProbeError if one cannot be loaded: nothing is counted until it can be.
        """
        if self._deployments is None:
            self._beat(Phase.STORING, NO_LF)
            origin.confirm(self._database, self._stream, self._origin)
            self._deployments = self._cache.open(self._database, self._stream)
            self._stream = self._deployments.stream
            self._renewed(self._deployments.columns)
        return self._deployments

    def _supersede(self) -> None:
        """Forget the deployments, and what was counted with them and not committed."""
        log.info("deployments_changed", stream=self._stream.name, epoch=self._stream.epoch)
        self._deployments = None
        self._stale |= self._owned.keys()
        self._owned.clear()

    def _step(self, timeout_s: float, *, finite: bool) -> Progress:
        inputs = self._gather(timeout_s)
        if finite and self._held_until_s:
            held = ", ".join(map(str, sorted(self._held_until_s)))
            msg = f"the source does not hold what comes next in partition {held}: {ADVICE}"
            raise StreamHalted(msg)
        try:
            progress = self._count_and_commit(inputs, finite=finite)
        except DataRefused as error:
            if not inputs:
                raise
            self._bisect(inputs, error)
            return Progress()
        if inputs:
            self._most = min(self._config.limits.commit_records, 2 * self._most)
            self._refused.clear()
        return progress

    def _bisect(self, inputs: Sequence[Raw], error: DataRefused) -> None:
        """Read again, half as many at a time, until the input at fault stands alone."""
        log.warning("batch_refused", stream=self._stream.name, n=len(inputs), error=str(error))
        self._most = max(1, len(inputs) // 2)
        if len(inputs) == 1:
            self._refused[inputs[0].partition, inputs[0].offset] = str(error)
        self._reload(self._owned)

    def _count_and_commit(self, inputs: Sequence[Raw], *, finite: bool) -> Progress:
        """Count inputs and commit; or find that somebody else did, and start over there."""
        skipped = self._tombstones(inputs)
        if inputs:
            self._note_ends()
        batches, records, dead = self._count(inputs, skipped)
        batches += self._idle(batches, finite=finite)
        self._beat(Phase.STORING, NO_LF)
        if not batches:
            return Progress()
        try:
            started = time.perf_counter()
            closed = transaction.commit(
                self._database, self._stream, batches, owner=self.owner, now_ms=self._clock()
            )
            meters.committed(self._stream.name, time.perf_counter() - started)
        except Superseded:
            self._supersede()
            return Progress()
        except Fenced as fenced:
            log.warning("fenced", stream=self._stream.name, partition=fenced.partition)
            meters.fenced(self._stream.name)
            self._reload(batch.partition for batch in batches)
            return Progress()
        self._remember(batches, closed)
        self._source.report({batch.partition: batch.to_offset for batch in batches})
        counted = len(inputs) - skipped.total()
        self._judge.hear(counted, (d for batch in batches for d in batch.dead_letters))
        return Progress(records, dead, committed=True, closed_through_ms=closed)

    def _gather(self, timeout_s: float) -> list[Raw]:
        """Poll until the batch is full, the interval is over, or nothing more comes.

        Full is what `commit_records` or `batch_bytes` says, whichever comes first.
        """
        limits = self._config.limits
        deadline = time.monotonic() + limits.commit_interval / 1000
        gathered: list[Raw] = []
        held = 0
        self._refresh()
        self.renew()
        self._reload(())
        while len(gathered) < self._most and held < limits.batch_bytes:
            self._beat(Phase.POLLING, NO_LF)
            if isinstance(self._source, Weighed):
                self._source.allow(limits.batch_bytes - held)
            polled = self._source.poll(self._most - len(gathered), timeout_s)
            self._assigned |= polled.assigned
            changed = polled.lost | polled.gained
            if changed:
                log.info(
                    "assignment",
                    stream=self._stream.name,
                    gained=sorted(polled.gained),
                    lost=sorted(polled.lost),
                )
                gathered = [raw for raw in gathered if raw.partition not in changed]
                for partition in polled.lost:
                    self._owned.pop(partition, None)
                    self._stale.discard(partition)
                    self._held_until_s.pop(partition, None)
                self._assigned = True
                self._reload(polled.gained)
            if polled.astray:
                gathered = [raw for raw in gathered if raw.partition not in polled.astray]
                self._reload(polled.astray, astray=polled.astray)
            gathered += self._new(polled.inputs)
            held += sum(map(weight, polled.inputs))
            for partition in polled.reached.keys() & self._owned.keys():
                owned = self._owned[partition]
                owned.reached = max(owned.reached, polled.reached[partition])
            if not polled.inputs or time.monotonic() >= deadline:
                break
        return gathered

    def _new(self, inputs: Iterable[Raw]) -> list[Raw]:
        """Return the inputs of owned partitions that come for the first time.

        The compare-and-set guards positions, not what lies between them: a source that delivers
        an input again must not have it counted again.
        """
        new: list[Raw] = []
        again = 0
        for raw in inputs:
            owned = self._owned.get(raw.partition)
            if owned is None:
                continue
            if raw.offset < owned.reached:
                again += 1
                continue
            owned.reached = raw.offset + 1
            new.append(raw)
        if again:
            log.warning("delivered_again", stream=self._stream.name, n=again)
        return new

    def _reload(self, partitions: Iterable[int], astray: Mapping[int, int] = EMPTY) -> None:
        """Continue *partitions*, and those in doubt, where the database stands.

        Each is in doubt until it was read: if the database cannot be, the next step tries again.
        One whose position the source does not hold any more is held until that is decided on.
        """
        now = time.monotonic()
        due = {p for p, until in self._held_until_s.items() if now >= until}
        self._stale |= set(partitions) | due
        if self._stale:  # they may be of samples that were not committed
            for limits in self._limits.values():
                limits.clear()  # in place: the samplers hold them, too
        self._beat(Phase.POLLING, NO_LF)
        self._places.survey(self._stale)
        self._beat(Phase.STORING, NO_LF)
        for partition in sorted(self._stale):
            state = self._place(partition, astray.get(partition))
            if state is None:
                self._owned.pop(partition, None)
                self._held_until_s[partition] = now + HELD_S
                self._stale.discard(partition)
                continue
            self._held_until_s.pop(partition, None)
            samplers = Samplers(self._config.samples, self._limits, state.sampled)
            self._owned[partition] = OwnedPartition(
                state.next_offset,
                dict(state.panes),
                samplers,
                reached=state.next_offset,
                latest_event_ms=state.latest_event_ms,
            )
            self._source.seek(partition, state.next_offset)
            self._stale.discard(partition)

    def _refresh(self) -> None:
        """See what others have changed. A changed epoch is refused by the commit at the latest."""
        now = time.monotonic()
        if self._looked_s is not None and now - self._looked_s < LOOK_EVERY_S:
            return
        with self._database.read() as connection:
            self._quarantined = quarantine.places(connection, self._stream)
            epoch = streams.epoch(connection, self._stream.id)
        if self._deployments is not None and epoch != self._stream.epoch:
            self._supersede()
        self._looked_s = now

    def _place(self, partition: int, ends_at: int | None) -> PartitionState | None:
        """Read a partition's state, moved over a gap if need be; None if it is to be held."""
        while True:
            state = self._take(partition)
            with contextlib.suppress(Fenced):  # somebody else moved it: read it again
                way = self._places.way(partition, state, ends_at)
                if way is GapAction.ON:
                    return state
                if way is GapAction.HELD:
                    return None

    def _take(self, partition: int) -> PartitionState:
        """Read a partition's state.

        One that was read to its end once holds the watermark again until its new end is proved:
        there may be more by now.
        """
        while True:
            with self._database.read() as connection:
                state = store.load_partition(connection, self._stream, partition)
            if state is None:
                self._seed(partition)
                continue
            if not state.drained:
                return state
            reopened = PartitionBatch(partition, state.next_offset, state.next_offset)
            with contextlib.suppress(Fenced):
                transaction.commit(
                    self._database,
                    self._stream,
                    [reopened],
                    owner=self.owner,
                    now_ms=self._clock(),
                )

    def _seed(self, partition: int) -> None:
        """Make the row of a partition that the source has gained since the stream was opened."""
        origin.confirm(self._database, self._stream, self._origin)
        self._beat(Phase.POLLING, NO_LF)
        if partition not in self._source.beginnings():
            msg = f"partition {partition} was assigned, but the source has none: was it re-created?"
            raise SourceError(msg)
        seed(self._database, self._config, self._stream, self._source, self._clock())
        self._beat(Phase.STORING, NO_LF)

    def _decode(self, raw: Raw) -> Record | DeadLetter:
        refusal = self._refused.get((raw.partition, raw.offset))
        if refusal is not None:
            return self._codec.refuse(raw, DeadLetterReason.DATABASE, refusal)
        return self._codec.decode(raw)

    def _tombstones(self, inputs: Sequence[Raw]) -> Counter[int]:
        """Return how many inputs of each partition are skipped: the position moves over them.

        They are neither records nor dead letters, and no part of the dead-letter share.
        """
        if getattr(self._config.source, "tombstones", None) != "skip":
            return Counter()
        return Counter(raw.partition for raw in inputs if is_tombstone(raw))

    def _count(
        self, inputs: Sequence[Raw], skipped: Counter[int]
    ) -> tuple[list[PartitionBatch], int, int]:
        """Decode, run the LFs over what is not late, and fold per partition and window."""
        self._beat(Phase.DECODING, NO_LF)
        decode = self._decode if self._refused else self._codec.decode
        wanted = [raw for raw in inputs if not is_tombstone(raw)] if skipped else inputs
        decoded = [decode(raw) for raw in wanted]
        records = [record for record in decoded if isinstance(record, Record)]
        dead = [letter for letter in decoded if isinstance(letter, DeadLetter)]
        latest = {p: owned.latest_event_ms for p, owned in self._owned.items()}
        sorted_ = lateness.sort_out(
            records,
            latest,
            window_ms=self._stream.window_ms,
            lateness_ms=self._stream.lateness_ms,
        )
        votes = self.renew().judge(
            sorted_.on_time,
            quarantined=self._quarantined,
            entering=lambda column, spent_s: self._beat(Phase.PROBING, column, spent_s),
            name=f"{inputs[0].partition}:{inputs[0].offset}" if inputs else "",
        )
        self._beat(Phase.COUNTING, NO_LF)
        for some in votes:
            if some.live:
                layout = some.loaded.probe_set.layout
                meters.ran(self._stream.name, layout.probes, some.matrix.seconds)
        last = {raw.partition: raw.offset for raw in inputs}  # in order within a partition
        reached = {p: max(offset + 1, self._owned[p].reached) for p, offset in last.items()}
        batches = [
            self._batch(
                partition,
                to_offset=to_offset,
                votes=votes,
                late=sorted_.late.get(partition, {}),
                dead=[letter for letter in dead if letter.partition == partition],
                tombstones=skipped[partition],
            )
            for partition, to_offset in sorted(reached.items())
        ]
        return batches, len(records), len(dead)

    def _batch(
        self,
        partition: int,
        *,
        to_offset: int,
        votes: Sequence[Votes],
        late: Mapping[int, int],
        dead: list[DeadLetter],
        tombstones: int,
    ) -> PartitionBatch:
        owned = self._owned[partition]
        counted = fold(votes, partition, running=owned.panes, samplers=owned.samplers)
        return PartitionBatch(
            partition=partition,
            from_offset=owned.next_offset,
            to_offset=to_offset,
            end_offset=self._ends.get(partition),
            watermark_ms=counted.latest_ms,
            latest_event_ms=counted.latest_ms,
            panes=counted.panes,
            added=counted.added,
            late=late,
            samples=counted.samples,
            dead_letters=dead,
            tombstones=tombstones,
            mark=self._mark(partition, to_offset),
        )

    def _mark(self, partition: int, offset: int) -> str | None:
        source = self._source
        return source.mark(partition, offset) if isinstance(source, Bookmarked) else None

    def _note_ends(self) -> None:
        """Ask for the ends of the partitions and keep them, unless that was done seconds ago.

        Before the LFs run: if one of them kills the worker, the lag must still be seen to grow.
        """
        now = self._clock()
        if abs(now - self._asked_ms) < ENDS_EVERY_MS:  # clocks jump
            return
        self._ends = self._ask_ends(sorted(self._owned))
        self._beat(Phase.STORING, NO_LF)
        with self._database.write() as connection:
            streams.note_ends(connection, self._stream.id, self._ends, now)
        self._asked_ms = now

    def _ask_ends(self, partitions: Sequence[int]) -> dict[int, int]:
        self._beat(Phase.POLLING, NO_LF)
        return self._source.ends(partitions)

    def _idle(self, batches: Sequence[PartitionBatch], *, finite: bool) -> list[PartitionBatch]:
        """Say of partitions without inputs that they were read to their end, if they were.

        No idle timer: only a position proved equal to the end moves anything, and only the
        owner can prove it. How far it moves is ``idleness``'s to say.
        """
        if self._idleness is None and not finite:
            return []
        now = self._clock()  # before asking for the ends: what comes later is not covered
        interval = self._config.limits.commit_interval
        busy = {batch.partition for batch in batches}
        for partition in busy:
            self._owned[partition].heard_ms = now
        quiet = [
            p
            for p, owned in self._owned.items()
            if p not in busy
            and not owned.drained
            and (finite or abs(now - owned.heard_ms) >= interval)  # clocks jump
        ]
        # Before asking for the ends, too: the proof must cover what the watermark follows.
        watermark = self._follow(now, speaking=bool(batches)) if quiet and not finite else None
        ends = self._ask_ends(quiet) if quiet else {}
        for partition in ends:
            self._owned[partition].heard_ms = now
        return [
            PartitionBatch(
                partition,
                self._owned[partition].next_offset,
                self._owned[partition].goes_on_at,
                watermark_ms=watermark,
                end_offset=end,
                drained=finite,
                mark=self._mark(partition, self._owned[partition].goes_on_at),
            )
            for partition, end in sorted(ends.items())
            if end <= self._owned[partition].goes_on_at
        ]

    def _follow(self, now: int, *, speaking: bool) -> int | None:
        """Return where the watermark of a partition may be that is read to its end."""
        if self._idleness is None:
            return None
        with self._database.read() as connection:
            heard = arrivals.of_stream(connection, self._stream.id)
        return self._idleness.watermark(replace(heard, heard_ms=now) if speaking else heard, now)

    def _remember(self, batches: Sequence[PartitionBatch], closed: int | None) -> None:
        for batch in batches:
            owned = self._owned[batch.partition]
            owned.next_offset = batch.to_offset
            owned.drained = batch.drained
            if batch.latest_event_ms is not None:
                seen = owned.latest_event_ms
                owned.latest_event_ms = max(batch.latest_event_ms, seen or batch.latest_event_ms)
            owned.panes.update(batch.panes)
            for key in [key for key in owned.panes if store.is_closed(key[0], closed)]:
                del owned.panes[key]
            for start in [s for s in owned.samplers if store.is_closed(s, closed)]:
                del owned.samplers[start]
        for start in [s for s in self._limits if store.is_closed(s, closed)]:
            del self._limits[start]
        self._deployments = self.renew().still_open(closed)

    def close(self) -> None:
        """Leave the group."""
        self._source.close()
