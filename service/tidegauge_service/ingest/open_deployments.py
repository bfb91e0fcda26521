"""The deployments of a stream whose windows are open: loaded, run, and folded by deployment.

Mostly there is one. After a change there are two until the last window of the old one is closed,
and a shadow is one more. A record is counted by the deployments of its window, and by no other.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from tidegauge_probes import engine, load
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.contents import Contents
from tidegauge_probes.labeling.loading import load_contents
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.model import Record, VoteMatrix
from tidegauge_service.clock import window_start
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.fold import Counted, Counting, Rows
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.store import deployments, streams
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest.commit import PaneKey
from tidegauge_service.store.streams import CLOSED, Role, StreamRow

log = structlog.get_logger()

Lift = Callable[[ProbeSet], Lifting | None]
Columns = Seq[tuple[str, int, str]]
"""ProbeSet, place in it, name: of each LF and slicing function that may be called."""


def _as_it_is(_probe_set: ProbeSet) -> None:
    return


def _unheard(_column: int, _seconds: float) -> None:
    pass


def _after(first: int, entering: engine.Entering) -> engine.Entering:
    """Return what hears of a deployment's columns; the stream's begin at *first* for it."""
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
        """Whether the deployment is the one that judges; each record has one."""
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
    first is that one's, too: its window is closed, so the record will be late, however judged.
    """

    stream: StreamRow
    live: tuple[LoadedDeployment, ...]
    shadows: tuple[LoadedDeployment, ...]

    @property
    def columns(self) -> Columns:
        """Return what may be called, in the order of the columns that ``judge`` tells of."""
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
            tuple(v for v in some if _is_open(v.deployment, closed_ms))
            for some in (self.live, self.shadows)
        )
        return replace(self, live=live, shadows=shadows)

    def judge(
        self,
        records: Seq[Record],
        *,
        quarantined: Mapping[str, Collection[int]],
        entering: engine.Entering = _unheard,
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
                entering=_after(loaded.first_column, entering),
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


class ProbeSetCache:
    """Loads the ProbeSets of a stream's deployments, once each."""

    def __init__(
        self, config: StreamConfig, loaded: Iterable[ProbeSet] = (), lift: Lift = _as_it_is
    ) -> None:
        """Make a cache that holds *loaded*; *lift* lifts what is added to it."""
        self._config = config
        self._lift = lift
        self._loaded = {probe_set.id: probe_set for probe_set in loaded}
        self._lifted: dict[str, Lifting | None] = {}

    def open(self, database: Database, stream: StreamRow) -> OpenDeployments:
        """Return the deployments that count now. ProbeError if a live one cannot be loaded.

        A shadow that cannot be loaded is left out: it must not stop the live one. Its windows
        then have fewer records than the live one's, which its figures show.
        """
        with database.read() as connection:
            # First: if it changes in between, the commit will say so.
            epoch = streams.epoch(connection, stream.id)
            closed = streams.cursor(connection, stream.id, CLOSED) or 0
            known = deployments.of_stream(connection, stream.id)
            needed = [d for d in known if _is_open(d, closed)]
            kept = {d.probe_set: streams.contents_of(connection, d.probe_set) for d in needed}
        found: dict[str, list[LoadedDeployment]] = {Role.LIVE: [], Role.SHADOW: []}
        column = 0
        for deployment in sorted(needed, key=lambda d: (d.role, d.from_ms)):
            try:
                loaded = self._load(deployment, kept[deployment.probe_set], column)
            except ProbeError as error:
                if deployment.role == Role.LIVE:
                    raise
                log.error("shadow_not_loaded", stream=stream.name, error=str(error))
                continue
            found[deployment.role].append(loaded)
            column += len(loaded.probe_set.probes) + len(loaded.probe_set.slices)
        at = replace(stream, epoch=epoch)
        return OpenDeployments(at, tuple(found[Role.LIVE]), tuple(found[Role.SHADOW]))

    def _load(self, deployment: Deployment, kept: Contents | None, column: int) -> LoadedDeployment:
        name = deployment.probe_set
        if name not in self._loaded:
            self._loaded[name] = load_deployed(self._config, deployment.reference, name, kept)
        probe_set = self._loaded[name]
        if name not in self._lifted:
            self._lifted[name] = self._lift(probe_set)
        counting = Counting(self._config, probe_set)
        return LoadedDeployment(deployment, probe_set, counting, self._lifted[name], column)


def _is_open(deployment: Deployment, closed_ms: int) -> bool:
    """Whether a window of it is not closed, or may yet come."""
    until = deployment.until_ms
    return until is None or until > max(closed_ms, deployment.from_ms)


def load_deployed(
    config: StreamConfig, reference: str, probe_set: str, kept: Contents | None
) -> ProbeSet:
    """Load what was deployed under a reference. ProbeError if it is not that any more.

    One that is all templates is built from what the database keeps of it.
    """
    again = load_contents(kept, probe_set) if kept else None
    if again is not None:
        return again
    folder = Path(config.folder)
    try:
        found = load(reference, folder)
    except ProbeError as error:
        why = f"it cannot be loaded from there: {error}"
    else:
        if found.id == probe_set:
            return found
        why = f"that is ProbeSet {found.id} now"
    msg = (
        f"stream '{config.name}' counts windows with ProbeSet {probe_set}, deployed from "
        f"{_file_of(reference, folder)}, but {why}. Restore that file, and keep the new LFs in a "
        "file of their own; you can remove the old file once its last window is closed "
        f"(`tidegauge probes list {config.name}`). If the file has not changed, this process still "
        "holds another one in memory: restart it"
    )
    raise ProbeError(msg)


def _file_of(reference: str, folder: Path) -> str:
    module, colon, _ = reference.partition(":")
    if not colon:
        return str(folder / reference)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return f"{spec.origin} ({reference})" if spec and spec.origin else reference
