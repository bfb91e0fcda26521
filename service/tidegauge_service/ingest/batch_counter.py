"""From the inputs of one poll to what their partitions commit: decode, sort out, vote, fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge_probes.model import Record
from tidegauge_service.ingest import lateness
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.deployed.open_deployments import OpenDeployments, Votes, fold
from tidegauge_service.ingest.heartbeat import NO_LF, Beats, Phase
from tidegauge_service.ingest.partitions.owned_partition import OwnedPartition
from tidegauge_service.ingest.sources.source import Raw, Source, bookmark, is_tombstone
from tidegauge_service.metrics import meters
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.scope import StreamScope

Owned = Mapping[int, OwnedPartition]


@dataclass(frozen=True, slots=True)
class BatchCount:
    """What the inputs of one poll add up to: a batch for each partition that has any."""

    batches: list[PartitionBatch]
    records: int
    dead: list[DeadLetter]
    tombstones: Counter[int]
    """Inputs of each partition that were skipped: they are neither records nor dead letters."""

    @property
    def inputs(self) -> int:
        """The inputs that the share of dead letters is of: tombstones are not among them."""
        return self.records + len(self.dead)


@dataclass
class BatchCounter:
    """Counts the inputs of one worker; what it knows of partitions and LFs is passed to it."""

    scope: StreamScope
    source: Source
    codec: Codec
    beat: Beats
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    """(partition, offset) of inputs that the database refused, and why: dead letters now."""

    def count(
        self,
        inputs: Sequence[Raw],
        owned: Owned,
        deployments: OpenDeployments,
        *,
        quarantined: Mapping[str, Collection[int]],
        ends: Mapping[int, int],
    ) -> BatchCount:
        """Decode, run the LFs over what is not late, and fold per partition and window.

        *quarantined*: ProbeSet → columns not to call. *ends*: the ends of partitions, for the lag.
        """
        self.beat(Phase.DECODING, NO_LF)
        skipped = self._tombstones(inputs)
        records, dead = self._decode(inputs, skip=bool(skipped))
        sorted_ = lateness.sort_out(
            records,
            {p: partition.latest_event_ms for p, partition in owned.items()},
            window_ms=self.scope.stream.window_ms,
            lateness_ms=self.scope.stream.lateness_ms,
        )
        votes = deployments.run(
            sorted_.on_time,
            quarantined=quarantined,
            entering=lambda column, spent_s: self.beat(Phase.PROBING, column, spent_s),
            name=f"{inputs[0].partition}:{inputs[0].offset}" if inputs else "",
        )
        self.beat(Phase.COUNTING, NO_LF)
        self._meter(votes)
        last = {raw.partition: raw.offset for raw in inputs}  # in order within a partition
        reached = {p: max(offset + 1, owned[p].reached) for p, offset in last.items()}
        batches = [
            self._batch(
                partition,
                owned[partition],
                votes,
                to_offset=to_offset,
                end_offset=ends.get(partition),
                late=sorted_.late.get(partition, {}),
                dead=[letter for letter in dead if letter.partition == partition],
                tombstones=skipped[partition],
            )
            for partition, to_offset in sorted(reached.items())
        ]
        return BatchCount(batches, len(records), dead, skipped)

    def _tombstones(self, inputs: Sequence[Raw]) -> Counter[int]:
        """Return how many inputs of each partition are skipped: the position moves over them."""
        if getattr(self.scope.config.source, "tombstones", None) != "skip":
            return Counter()
        return Counter(raw.partition for raw in inputs if is_tombstone(raw))

    def _decode(
        self, inputs: Sequence[Raw], *, skip: bool
    ) -> tuple[list[Record], list[DeadLetter]]:
        """Decode inputs; *skip* leaves out those that are tombstones."""
        decode = self._refuse_or_decode if self.refused else self.codec.decode
        wanted = [raw for raw in inputs if not is_tombstone(raw)] if skip else inputs
        decoded = [decode(raw) for raw in wanted]
        records = [record for record in decoded if isinstance(record, Record)]
        return records, [letter for letter in decoded if isinstance(letter, DeadLetter)]

    def _refuse_or_decode(self, raw: Raw) -> Record | DeadLetter:
        refusal = self.refused.get((raw.partition, raw.offset))
        if refusal is not None:
            return self.codec.refuse(raw, DeadLetterReason.DATABASE, refusal)
        return self.codec.decode(raw)

    def _meter(self, votes: Sequence[Votes]) -> None:
        for some in votes:
            if some.live:
                layout = some.loaded.probe_set.layout
                meters.ran(self.scope.stream.name, layout.probes, some.matrix.seconds)

    def _batch(
        self,
        partition: int,
        owned: OwnedPartition,
        votes: Sequence[Votes],
        *,
        to_offset: int,
        end_offset: int | None,
        late: Mapping[int, int],
        dead: list[DeadLetter],
        tombstones: int,
    ) -> PartitionBatch:
        counted = fold(votes, partition, running=owned.panes, samplers=owned.samplers)
        return PartitionBatch(
            partition=partition,
            from_offset=owned.next_offset,
            to_offset=to_offset,
            end_offset=end_offset,
            watermark_ms=counted.latest_ms,
            latest_event_ms=counted.latest_ms,
            panes=counted.panes,
            added=counted.added,
            late=late,
            samples=counted.samples,
            dead_letters=dead,
            tombstones=tombstones,
            mark=bookmark(self.source, partition, to_offset),
        )
