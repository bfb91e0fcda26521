"""The ProbeSets of a stream's deployments, each loaded once."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from tidegauge_probes import load
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.contents import Contents
from tidegauge_probes.labeling.loading import load_contents
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.deployed.open_deployments import (
    LoadedDeployment,
    OpenDeployments,
    is_open,
)
from tidegauge_service.ingest.fold import Counting
from tidegauge_service.store import deployments, probe_sets, streams
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import CLOSED, Role, StreamRow

log = structlog.get_logger()

Lift = Callable[[ProbeSet], Lifting | None]


class ProbeSetCache:
    """Loads the ProbeSets of a stream's deployments, once each."""

    def __init__(
        self,
        config: StreamConfig,
        loaded: Iterable[ProbeSet] = (),
        lift: Lift | None = None,
        *,
        afresh: bool = False,
    ) -> None:
        """Make a cache that holds *loaded*; *lift* lifts what is added to it.

        *afresh*: see ``load_deployed``.
        """
        self._afresh = afresh
        self._config = config
        self._lift = lift
        self._loaded = {probe_set.id: probe_set for probe_set in loaded}
        self._lifted: dict[str, Lifting | None] = {}

    def open(
        self, database: Database, stream: StreamRow, *, replaced_ms: int | None = None
    ) -> OpenDeployments:
        """Return the deployments that count now. ProbeError if a live one cannot be loaded.

        *replaced_ms*: those that will count if the live one is replaced from that window on.

        A shadow that cannot be loaded is left out: it must not stop the live one. Its windows
        then have fewer records than the live one's, which its figures show.
        """
        with database.read() as connection:
            # First: if it changes in between, the commit will say so.
            epoch = streams.epoch(connection, stream.id)
            closed = streams.cursor(connection, stream.id, CLOSED) or 0
            known = deployments.of_stream(connection, stream.id)
            needed = [d for d in known if is_open(_ended(d, replaced_ms), closed)]
            kept = {d.probe_set: probe_sets.contents_of(connection, d.probe_set) for d in needed}
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
            self._loaded[name] = load_deployed(
                self._config, deployment.reference, name, kept, afresh=self._afresh
            )
        probe_set = self._loaded[name]
        if name not in self._lifted:
            self._lifted[name] = self._lift(probe_set) if self._lift else None
        counting = Counting(self._config, probe_set)
        return LoadedDeployment(deployment, probe_set, counting, self._lifted[name], column)


def _ended(deployment: Deployment, at_ms: int | None) -> Deployment:
    """Return the live deployment as it will be when it is replaced; others as they are."""
    current = deployment.role == Role.LIVE and deployment.until_ms is None
    return deployment if at_ms is None or not current else replace(deployment, until_ms=at_ms)


def load_deployed(
    config: StreamConfig,
    reference: str,
    probe_set: str,
    kept: Contents | None,
    *,
    afresh: bool = False,
) -> ProbeSet:
    """Load what was deployed under a reference. ProbeError if it is not that any more.

    One that is all templates is built from what the database keeps of it. *afresh*: this process
    is a command, which has just read the files; a service may hold older ones in memory.
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
        why = f"it now contains ProbeSet {found.id}"
    msg = (
        f"stream '{config.name}' counts windows with ProbeSet {probe_set}, deployed from "
        f"{_file_of(reference, folder)}, but {why}. Restore that file, and keep the new LFs in a "
        "file of their own; you can remove the old file once its last window is closed "
        f"(`tidegauge probes list {config.name}`). If you no longer have the old LFs, give the "
        "stream a new `name`"
    )
    if not afresh:
        msg += ". If the file has not changed, this process still has a different version in "
        msg += "memory: restart it"
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
