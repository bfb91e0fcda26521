"""The deployments of a stream whose windows are open: loaded, run, and folded by deployment.

Mostly there is one. After a change there are two until the last window of the old one is closed,
and a shadow is one more. A record is counted by the deployments of its window, and by no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace

import numpy as np
import structlog

from tidegauge_probes import engine
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.model import Record, VoteMatrix
from tidegauge_service.clock import window_start
from tidegauge_service.ingest.fold import Counted, Counting, Rows
from tidegauge_service.ingest.heartbeat import Columns
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.ingest.counted import PaneKey
from tidegauge_service.store.streams import Role, StreamRow

log = structlog.get_logger()


def _shifted(first: int, entering: engine.Entering | None) -> engine.Entering | None:
    """Return a callback for one deployment's columns, which begin at *first* in the stream's."""
    if entering is None:
        return None
    return lambda column, seconds: entering(first + column, seconds)


@dataclass(frozen=True, eq=False)
class LoadedDeployment:
    """A deployed ProbeSet, ready to count. *first_column*: of its LFs, among all deployments'."""

    deployment: Deployment
    probe_set: ProbeSet
    counting: Counting
    lifting: Lifting | None
    first_column: int


@dataclass(frozen=True, eq=False)
class Votes:
    """What one deployment says of the records that are its. *partitions*: int64 [records]."""

    loaded: LoadedDeployment
    records: Seq[Record]
    partitions: Rows
    matrix: VoteMatrix

    @property
    def live(self) -> bool:
        """Whether the deployment is the live one of its window; each record has one."""
        return self.loaded.deployment.role == Role.LIVE

    def count(
        self,
        partition: int,
        running: Mapping[PaneKey, PaneCounts],
        samplers: Samplers,
    ) -> Counted:
        """Count the records of a partition on top of *running*; samples are the live one's."""
        rows = np.flatnonzero(self.partitions == partition)
        return self.loaded.counting.count(
            self.records,
            self.matrix,
            rows,
            running=running,
            samplers=samplers if self.live else None,
        )


@dataclass(frozen=True, eq=False)
class OpenDeployments:
    """The deployments of one epoch (``stream.epoch``) whose windows are open.

    ``live``: by their windows, each goes on where the one before ends. What is older than the
    first is that one's, too: its window is closed, so the record will be late anyway.
    """

    stream: StreamRow
    live: tuple[LoadedDeployment, ...]
    shadows: tuple[LoadedDeployment, ...]

    @property
    def columns(self) -> Columns:
        """Return what may be called, in the order of the columns of ``run``'s *entering*."""
        return [
            (loaded.probe_set.id, place, probe.name)
            for loaded in (*self.live, *self.shadows)
            for place, probe in enumerate((*loaded.probe_set.probes, *loaded.probe_set.slices))
        ]

    def still_open(self, closed_ms: int | None) -> OpenDeployments:
        """Return those that are needed when so much is closed."""
        if closed_ms is None or len(self.live) + len(self.shadows) == 1:
            return self
        live, shadows = (
            tuple(v for v in some if is_open(v.deployment, closed_ms))
            for some in (self.live, self.shadows)
        )
        return replace(self, live=live, shadows=shadows)

    def run(
        self,
        records: Seq[Record],
        *,
        quarantined: Mapping[str, Collection[int]],
        entering: engine.Entering | None = None,
        name: str = "",
    ) -> list[Votes]:
        """Run the LFs of each deployment over its records; see ``engine.run``."""
        partitions = np.array([record.partition for record in records], dtype=np.int64)
        found = []
        for loaded, rows in self._shares(records):
            mine = records if rows is None else [records[row] for row in rows.tolist()]
            matrix = engine.run(
                loaded.probe_set,
                [record.fields for record in mine],
                skipped=quarantined.get(loaded.probe_set.id, ()),
                entering=_shifted(loaded.first_column, entering),
                lifting=loaded.lifting,
                name=name,
            )
            of = partitions if rows is None else partitions[rows]
            found.append(Votes(loaded, mine, of, matrix))
        return found

    def _shares(self, records: Seq[Record]) -> Iterator[tuple[LoadedDeployment, Rows | None]]:
        """Yield which records are whose; None: all."""
        if len(self.live) == 1 and not self.shadows:
            yield self.live[0], None
            return
        times = np.array([record.timestamp_ms for record in records], dtype=np.int64)
        starts = window_start(times, self.stream.window_ms)  # type: ignore[arg-type]
        begin = [loaded.deployment.from_ms for loaded in self.live[1:]]
        place = np.searchsorted(begin, starts, side="right")
        for i, loaded in enumerate(self.live):
            yield loaded, np.flatnonzero(place == i)
        for loaded in self.shadows:
            since, until = loaded.deployment.from_ms, loaded.deployment.until_ms
            before = True if until is None else starts < until
            yield loaded, np.flatnonzero((starts >= since) & before)


def fold(
    votes: Seq[Votes],
    partition: int,
    *,
    running: Mapping[PaneKey, PaneCounts],
    samplers: Samplers,
) -> Counted:
    """Count a partition's records, each by the deployments of its window."""
    counted = [some.count(partition, running, samplers) for some in votes]
    if len(counted) == 1:
        return counted[0]
    return Counted(
        panes={key: pane for some in counted for key, pane in some.panes.items()},
        added={start: n for some in counted for start, n in some.added.items()},
        samples=[sample for some in counted for sample in some.samples],
        latest_ms=max((c.latest_ms for c in counted if c.latest_ms is not None), default=None),
    )


def is_open(deployment: Deployment, closed_ms: int) -> bool:
    """Whether a window of it is not closed, or may yet come."""
    until = deployment.until_ms
    return until is None or until > max(closed_ms, deployment.from_ms)
