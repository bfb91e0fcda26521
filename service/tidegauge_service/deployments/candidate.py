"""What must be true of a ProbeSet before it may count: it loads here, and can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidegauge_alerts.rules import check_names
from tidegauge_probes import ProbeSet, load
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.contents import Contents
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.clock import Clock
from tidegauge_service.config.stream_file import (
    BaselineName,
    BaselinePath,
    BaselineRange,
    StreamConfig,
)
from tidegauge_service.ingest.deployed.probe_set_cache import ProbeSetCache, load_deployed
from tidegauge_service.store import baselines, deployments
from tidegauge_service.store.deployments import Deployment, Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import Role, StreamRow


@dataclass(frozen=True)
class LoadedCandidate:
    """A ProbeSet that may be deployed; if ``only_from_ms`` is given, only from that window on."""

    probe_set: ProbeSet
    only_from_ms: int | None = None


def load_candidate(
    config: StreamConfig, database: Database, stream: StreamRow, reference: str, role: Role
) -> LoadedCandidate:
    """Load a ProbeSet that is to be deployed, and see that the others still can be.

    The one that it replaces is not needed if all its windows are closed: its file may be the
    candidate's by now. Raises ProbeError if the candidate cannot be loaded, or has taken the file
    of a deployment whose windows are open; RuleError if a rule of the stream names what is not in
    it.
    """
    probe_set = _loaded(reference, Path(config.folder))
    for rule in config.alerts.user_rules:
        check_names(rule, probe_set.layout.probes, probe_set.classes)
    cache = ProbeSetCache(config, [probe_set], afresh=True)
    try:
        cache.open(database, stream)
    except ProbeError:
        if role != Role.LIVE:
            raise
        with database.read() as connection:
            from_ms = deployments.next_window(connection, stream)
        cache.open(database, stream, replaced_ms=from_ms)
        return LoadedCandidate(probe_set, from_ms)
    return LoadedCandidate(probe_set)


def _loaded(reference: str, folder: Path) -> ProbeSet:
    """Load a reference, which is relative to the stream file wherever the command runs."""
    if (
        Path(reference).suffix
        and not (folder / reference).is_file()
        and Path(reference).is_file()
        and Path(reference).resolve().is_relative_to(folder.resolve())
    ):
        here = Path(reference).resolve().relative_to(folder.resolve())
        msg = (
            f"there is no file {folder / reference}: name it relative to the stream file, so that "
            f"every worker finds it: {here}"
        )
        raise ProbeError(msg)
    return load(reference, folder)


def load_again(config: StreamConfig, deployment: Deployment, kept: Contents | None) -> ProbeSet:
    """Load what was deployed before. ProbeError if it is not where it was."""
    return load_deployed(config, deployment.reference, deployment.probe_set, kept, afresh=True)


def reference_of(
    config: StreamConfig,
    database: Database,
    probe_set: ProbeSet,
    clock: Clock,
    *,
    named: str | None = None,
    shadow: bool = False,
    fitted: Callable[[int], None] | None = None,
) -> Reference:
    """Return what a deployment is compared with: *named*, or what the stream file says.

    A file of training records is fitted with the deployment's LFs, and kept. Anything else the
    stream file says is about the live deployment: the baseline of a *shadow* is frozen when it is
    promoted.
    Raises BaselineError if it does not fit the deployment.
    """
    chosen = config.baseline if named is None else BaselineName(name=named)
    if shadow and named is None and not isinstance(chosen, BaselinePath):
        return Reference()
    if isinstance(chosen, BaselineRange):
        return Reference(None, (chosen.from_, chosen.until))
    as_chosen = config.model_copy(update={"baseline": chosen})
    found = find_baseline(as_chosen, probe_set, database, clock, fitted)
    if found is None:
        return Reference()
    with database.write() as connection:
        baselines.save(connection, found, None, clock())
    return Reference(found.id)
