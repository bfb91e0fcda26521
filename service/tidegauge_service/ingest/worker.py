"""The worker: polls, decodes, runs the LFs, counts, and commits, one batch at a time.

Its memory (running counts per window, sampler thresholds) is only a cache of what the
database has proved. On a fence, a failed commit or a new assignment it is dropped and read
again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from tidegauge_alerts.messages.notices import GAP_ADVICE
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.errors import DataRefused, Fenced, StreamHalted, Superseded
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.batch_counter import BatchCount, BatchCounter
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.dead_letter_share import DeadLetterShare
from tidegauge_service.ingest.deployed.current_deployments import CurrentDeployments
from tidegauge_service.ingest.deployed.open_deployments import OpenDeployments
from tidegauge_service.ingest.deployed.probe_set_cache import Lift, ProbeSetCache
from tidegauge_service.ingest.heartbeat import NO_LF, Beats, Columns, Phase, no_beat
from tidegauge_service.ingest.partitions.assignment import Assignment
from tidegauge_service.ingest.partitions.ends import PartitionEnds
from tidegauge_service.ingest.sources.source import Member, Raw, SizeLimited, Source, weight
from tidegauge_service.metrics import meters
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.scope import StreamScope

log = structlog.get_logger()


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
        scope: StreamScope,
        probe_set: ProbeSet,
        source: Source,
        *,
        beat: Beats = no_beat,
        codec: Codec | None = None,
        lift: Lift | None = None,
        renewed: Callable[[Columns], None] | None = None,
    ) -> None:
        """Make a worker. It owns no partition until its first step.

        *probe_set* is one of the stream's deployments, perhaps; the others are loaded when they
        are needed. *beat* is called with what the worker is doing (``heartbeat.Phase``, and which
        LF). *codec*: JSON's if not given. *lift* lifts LFs; *renewed* is called with the LFs that
        may run, whenever they change.
        """
        limits = scope.config.limits
        codec = codec or Codec(scope.config.record, limits, scope.clock)
        self._scope = scope
        self._source = source
        self._beat = beat
        self._assignment = Assignment(scope, source, beat)
        self._deployments = CurrentDeployments(
            scope, ProbeSetCache(scope.config, [probe_set], lift), renewed
        )
        self._counter = BatchCounter(scope, source, codec, beat)
        self._ends = PartitionEnds(scope, source, beat)
        self._share = DeadLetterShare(limits.dead_letter_share)
        self._most = limits.commit_records

    @property
    def owner(self) -> str:
        """The name that the database shows as the owner of its partitions."""
        return self._assignment.owner

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions it reads now."""
        return frozenset(self._assignment.owned)

    @property
    def drained(self) -> bool:
        """Whether everything it reads was read to its end, and committed so."""
        return self._assignment.drained

    def begin_with(self, inputs: int) -> None:
        """Take at most so many inputs at first; the batch doubles with each commit."""
        self._most = max(1, min(inputs, self._scope.config.limits.commit_records))

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
            self._assignment.drop()
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
        if not self._deployments.loaded:
            self._beat(Phase.STORING, NO_LF)
            self._assignment.confirm_origin()
        return self._deployments.load()

    def close(self) -> None:
        """Leave the group."""
        self._source.close()

    def _step(self, timeout_s: float, *, finite: bool) -> Progress:
        inputs = self._gather(timeout_s)
        if finite and self._assignment.held:
            held = ", ".join(map(str, self._assignment.held))
            msg = f"the source no longer has the next inputs of partition {held}: {GAP_ADVICE}"
            raise StreamHalted(msg)
        try:
            progress = self._count_and_commit(inputs, finite=finite)
        except DataRefused as error:
            if not inputs:
                raise
            self._bisect(inputs, error)
            return Progress()
        if inputs:
            self._most = min(self._scope.config.limits.commit_records, 2 * self._most)
            self._counter.refused.clear()
        return progress

    def _gather(self, timeout_s: float) -> list[Raw]:
        """Poll until the batch is full, the interval is over, or nothing more comes.

        Full is what `commit_records` or `batch_bytes` says, whichever comes first.
        """
        limits = self._scope.config.limits
        deadline = time.monotonic() + limits.commit_interval / 1000
        gathered: list[Raw] = []
        held = 0
        if self._deployments.refresh():
            self._supersede()
        self.renew()
        self._assignment.reload(())
        while len(gathered) < self._most and held < limits.batch_bytes:
            self._beat(Phase.POLLING, NO_LF)
            if isinstance(self._source, SizeLimited):
                self._source.allow(limits.batch_bytes - held)
            polled = self._source.poll(self._most - len(gathered), timeout_s)
            void = self._assignment.take(polled)
            if void:
                gathered = [raw for raw in gathered if raw.partition not in void]
            gathered += self._assignment.accept(polled)
            held += sum(map(weight, polled.inputs))
            if not polled.inputs or time.monotonic() >= deadline:
                break
        return gathered

    def _count_and_commit(self, inputs: Sequence[Raw], *, finite: bool) -> Progress:
        """Count inputs and commit; or find that somebody else did, and start over there."""
        owned, deployments = self._assignment.owned, self.renew()
        if inputs:
            self._ends.note(sorted(owned))
        quarantined, ends = self._deployments.quarantined, self._ends.latest
        found = self._counter.count(inputs, owned, deployments, quarantined=quarantined, ends=ends)
        batches = found.batches + self._ends.proofs(owned, found.batches, finite=finite)
        self._beat(Phase.STORING, NO_LF)
        if not batches:
            return Progress()
        try:
            closed = self._commit(deployments, batches)
        except Superseded:
            self._supersede()
            return Progress()
        except Fenced as fenced:
            log.warning("fenced", stream=self._scope.stream.name, partition=fenced.partition)
            meters.fenced(self._scope.stream.name)
            self._assignment.reload(batch.partition for batch in batches)
            return Progress()
        self._committed(found, batches, closed)
        return Progress(found.records, len(found.dead), committed=True, closed_through_ms=closed)

    def _commit(
        self, deployments: OpenDeployments, batches: Sequence[PartitionBatch]
    ) -> int | None:
        started = time.perf_counter()
        database, now = self._scope.database, self._scope.clock()
        closed = transaction.commit(
            database, deployments.stream, batches, owner=self.owner, now_ms=now
        )
        meters.committed(self._scope.stream.name, time.perf_counter() - started)
        return closed

    def _committed(
        self, found: BatchCount, batches: Sequence[PartitionBatch], closed: int | None
    ) -> None:
        self._assignment.remember(batches, closed)
        self._deployments.close_windows(closed)
        self._source.report({batch.partition: batch.to_offset for batch in batches})
        self._share.add(found.inputs, found.dead)

    def _supersede(self) -> None:
        """Forget the deployments, and what was counted with them and not committed."""
        self._deployments.forget()
        self._assignment.drop()

    def _bisect(self, inputs: Sequence[Raw], error: DataRefused) -> None:
        """Read again, half as many at a time, until the input at fault stands alone."""
        name = self._scope.stream.name
        log.warning("batch_refused", stream=name, n=len(inputs), error=str(error))
        self._most = max(1, len(inputs) // 2)
        if len(inputs) == 1:
            self._counter.refused[inputs[0].partition, inputs[0].offset] = str(error)
        self._assignment.reload(list(self._assignment.owned))
