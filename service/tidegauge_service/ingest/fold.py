"""From records and their votes to the panes and samples of each window. Pure.

Batches of a partition and replayed dead letters are counted by this one code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.counts.text_keys import Keys
from tidegauge_probes.counts.text_sample import TextSample
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Fault, Record, VoteMatrix
from tidegauge_service.clock import window_start
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.copies import keys_of
from tidegauge_service.ingest.samples import Samplers, WindowSampler, buckets, priorities
from tidegauge_service.ingest.segments import memberships
from tidegauge_service.store.ingest.counted import PaneKey, Sample

Rows = npt.NDArray[np.int64]
Segments = dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Counted:
    """What records of one partition add up to, by window."""

    panes: Mapping[PaneKey, PaneCounts]
    """The running counts, these records included."""
    added: Mapping[int, int]
    samples: Sequence[Sample]
    latest_ms: int | None


class Counting:
    """Counts records of one partition of a stream by one ProbeSet."""

    def __init__(self, config: StreamConfig, probe_set: ProbeSet) -> None:
        self._config = config
        self._probe_set = probe_set

    def count(
        self,
        records: Sequence[Record],
        matrix: VoteMatrix,
        rows: Rows,
        *,
        running: Mapping[PaneKey, PaneCounts],
        samplers: Samplers | None,
    ) -> Counted:
        """Count *rows* of *records* on top of *running*; *samplers* remember what they took.

        Without them only the panes are made: the records are another deployment's to account for.
        """
        chosen = [records[row] for row in rows.tolist()]
        keys = keys_of(self._config, chosen)
        times = np.array([record.timestamp_ms for record in chosen], dtype=np.int64)
        starts = window_start(times, self._config.window)  # type: ignore[arg-type]
        panes: dict[PaneKey, PaneCounts] = {}
        added, samples = {}, list[Sample]()
        probe_set = self._probe_set.id
        for start in np.unique(starts).tolist():
            here = starts == start
            mine = rows[here]
            part = rows_of(matrix, mine)
            group = [records[row] for row in mine.tolist()]
            its = None if keys is None else keys[here]
            pane, segments = self._fold(group, part, its, running.get((start, probe_set)))
            panes[start, probe_set] = pane
            if samplers is None:
                continue
            added[start] = len(group)
            samples += self._sample(samplers[start], start, group, part, segments)
        latest = int(times.max()) if added else None
        return Counted(panes, added, samples, latest)

    def _fold(
        self,
        group: Sequence[Record],
        part: VoteMatrix,
        keys: Keys | None,
        running: PaneCounts | None,
    ) -> tuple[PaneCounts, Segments]:
        slices = [probe.name for probe in self._probe_set.slices]
        fields = [record.fields for record in group]
        segments = memberships(
            fields,
            self._config.segment_by,
            part,
            slices,
            known=running.segments if running else (),
            cap=self._config.limits.max_segments,
        )
        pane = counts.fold(part, self._probe_set.cardinality, segments)
        if keys is not None:
            pane = with_texts(pane, part, keys, segments, running)
        return (running + pane if running else pane), segments

    def _sample(
        self,
        sampler: WindowSampler,
        start: int,
        group: Sequence[Record],
        part: VoteMatrix,
        segments: Segments,
    ) -> list[Sample]:
        priority = priorities(self._config.name, group)
        taken = sampler.take(priority, buckets(part.outcomes, self._probe_set.layout.probes))
        return [
            Sample(
                window_start_ms=start,
                offset=group[row].offset,
                priority=int(priority[row]),
                buckets=tuple(names),
                record_id=group[row].id,
                timestamp_ms=group[row].timestamp_ms,
                payload=msgspec.json.encode(group[row].fields, enc_hook=str).decode(),
                outcomes=part.outcomes[row].tobytes(),
                segments=tuple(name for name, mask in segments.items() if mask[row]),
            )
            for row, names in taken.items()
        ]


def with_texts(
    pane: PaneCounts,
    part: VoteMatrix,
    keys: Keys,
    segments: Segments,
    running: PaneCounts | None,
) -> PaneCounts:
    """Return the counts of a batch with a sample of its texts, to be added to *running*."""
    level = running.texts.level if running is not None and running.texts is not None else 0
    return replace(pane, texts=TextSample.of(keys, part.outcomes, segments, level))


def rows_of(matrix: VoteMatrix, rows: Rows) -> VoteMatrix:
    """Return the matrix of some rows; faults are those of these rows."""
    place = {row: i for i, row in enumerate(rows.tolist())} if matrix.faults else {}
    faults = tuple(
        Fault(f.probe, place[f.row], f.type, f.message) for f in matrix.faults if f.row in place
    )
    return VoteMatrix(matrix.outcomes[rows], matrix.segments[rows], matrix.seconds, faults)
