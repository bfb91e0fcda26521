"""What the page says of the deployments of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge_alerts.messages.phrases import clean
from tidegauge_service.store.deployments import Change, Deployment
from tidegauge_service.web.words import NOTHING, count, moment

MOST_ROWS = 20


@dataclass(frozen=True, slots=True)
class DeploymentLine:
    """A ProbeSet in one role, and who wanted it so."""

    probe_set: str
    role: str
    since: str
    until: str
    baseline: str
    by: str


@dataclass(frozen=True, slots=True)
class DeploymentsView:
    """The newest deployments first."""

    summary: str
    rows: tuple[DeploymentLine, ...]


def deployments_view(found: Sequence[Deployment], zone: str) -> DeploymentsView:
    """Return the section as the page shows it; *found*: the newest first."""
    now = [d for d in found if d.until_ms is None]
    running = ", ".join(f"{d.role} {d.probe_set}" for d in now)
    return DeploymentsView(
        f"{count(len(found), 'deployment')}; now {running}",
        tuple(_row(d, zone) for d in found[:MOST_ROWS]),
    )


def _row(d: Deployment, zone: str) -> DeploymentLine:
    return DeploymentLine(
        probe_set=d.probe_set,
        role=d.role,
        since="the first window" if d.made_as == Change.FIRST else moment(d.from_ms, zone),
        until=moment(d.until_ms, zone),
        baseline=d.baseline or NOTHING,
        by=f"{clean(d.created_by)} ({d.made_as})",
    )
