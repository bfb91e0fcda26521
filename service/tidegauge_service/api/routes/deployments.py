"""Deployments of a stream: which count which windows, what they differ in, what they saw."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from tidegauge_probes.authoring.difference import Difference, compare
from tidegauge_probes.labeling.contents import Contents
from tidegauge_service.api.context import (
    Ctx,
    Cursor,
    Limit,
    Since,
    Until,
    find_stream,
)
from tidegauge_service.api.filters import span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.api.problems import Problem
from tidegauge_service.clock import to_iso
from tidegauge_service.store import deployment_counts, deployments, probe_sets
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import Role, StreamRow

router = APIRouter(prefix="/api/v1/streams", tags=["deployments"])


class DeploymentRow(BaseModel):
    """A ProbeSet in one role, for the windows that start in [from, until).

    `from` is null for the first deployment, `until` for what has not been replaced.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    probe_set: str
    role: str
    from_: str | None = Field(alias="from")
    until: str | None
    baseline: str | None
    reference: str
    made_as: str
    created: str
    created_by: str
    ended: str | None
    ended_by: str | None


class DeploymentRows(BaseModel):
    """All deployments, the newest first."""

    items: list[DeploymentRow]


class Lf(BaseModel):
    """What one LF did, in records; `votes` by class."""

    probe: str
    covered: int
    votes: dict[str, int]
    overlaps: int
    conflicts: int
    errors: int


class CountedWindows(BaseModel):
    """What a deployment has counted."""

    records: int
    covered: int
    blind: int
    lfs: list[Lf]


class DeploymentWindow(CountedWindows):
    """What a deployment has counted in one closed window."""

    start: str
    end: str


class DeploymentWindows(BaseModel):
    """A page of windows; `next` is the cursor of the following one."""

    items: list[DeploymentWindow]
    next: str | None


class ChangedLf(BaseModel):
    """An LF that kept its name: what of it is another."""

    name: str
    aspects: list[str]


class DifferentPart(BaseModel):
    """Differences of the LFs, or of the slicing functions. `renamed`: (before, after)."""

    added: list[str]
    removed: list[str]
    renamed: list[tuple[str, str]]
    changed: list[ChangedLf]


class Diff(BaseModel):
    """What two deployments differ in, and what both did in the windows that both have counted."""

    before: str
    after: str
    probes: DifferentPart
    slices: DifferentPart
    classes: tuple[list[str], list[str]] | None
    windows: int
    counted_before: CountedWindows | None
    counted_after: CountedWindows | None


@router.get("/{name}/deployments")
def list_deployments(name: str, ctx: Ctx) -> DeploymentRows:
    """List which ProbeSets have counted which windows, and who wanted it so."""
    with ctx.database.read() as connection:
        found = deployment_counts.listing(connection, find_stream(connection, name))
    return DeploymentRows(items=[deployment_item(d) for d in found])


@router.get("/{name}/deployments/diff")
def diff_deployments(
    name: str,
    ctx: Ctx,
    before: Annotated[str, Query(description="An id, live or shadow.")] = "live",
    after: Annotated[str, Query(description="An id, live or shadow.")] = "shadow",
) -> Diff:
    """Say what two deployments differ in."""
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        old, new = (deployment_id(connection, stream, which) for which in (before, after))
        contents = [probe_sets.contents_of(connection, one) for one in (old, new)]
        seen = deployment_counts.side_by_side(connection, stream, old, new)
    found = compare(*(one or Contents() for one in contents))
    return Diff(
        before=old,
        after=new,
        **_parts(found),
        windows=len(seen.starts),
        counted_before=_counted(seen.before) if seen.before else None,
        counted_after=_counted(seen.after) if seen.after else None,
    )


@router.get("/{name}/deployments/{probe_set}/windows")
def list_deployment_windows(
    name: str,
    probe_set: str,
    ctx: Ctx,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DeploymentWindows:
    """List the closed windows that a deployment has counted, live or as a shadow, oldest first."""
    after = from_cursor(cursor)
    start, end = span(since, until)
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        found = deployment_counts.page(
            connection,
            stream,
            deployment_id(connection, stream, probe_set),
            since_ms=start if after is None else after[0] + 1,
            until_ms=end,
            limit=limit,
        )
    items = [
        DeploymentWindow(
            start=to_iso(start),
            end=to_iso(start + stream.window_ms),
            **_counted(figures).model_dump(),
        )
        for start, figures in found
    ]
    following = to_cursor((found[-1][0], "")) if len(found) == limit else None
    return DeploymentWindows(items=items, next=following)


def deployment_id(connection: Connection, stream: StreamRow, which: str) -> str:
    """Return the id of a deployment of the stream; Problem 404 if it has none of that name."""
    known = deployments.of_stream(connection, stream.id)
    if which in set(Role):
        found = deployments.current(known, Role(which))
        which_id = found.probe_set if found else None
    else:
        which_id = next((d.probe_set for d in known if d.probe_set == which), None)
    if which_id is None:
        ids = ", ".join(dict.fromkeys(d.probe_set for d in known))
        raise Problem(
            404, "unknown_deployment", f"'{which}'; deployments of '{stream.name}': {ids}"
        )
    return which_id


def deployment_item(deployment: Deployment) -> DeploymentRow:
    """Return a deployment as it is told of."""
    d = deployment
    return DeploymentRow(
        probe_set=d.probe_set,
        role=d.role,
        **{"from": None if d.made_as == deployments.Change.FIRST else to_iso(d.from_ms)},
        until=to_iso(d.until_ms),
        baseline=d.baseline,
        reference=d.reference,
        made_as=d.made_as,
        created=to_iso(d.created_ms),
        created_by=d.created_by,
        ended=to_iso(d.ended_ms),
        ended_by=d.ended_by,
    )


def _parts(found: Difference) -> dict[str, Any]:
    return {
        "probes": DifferentPart(**asdict(found.probes)),
        "slices": DifferentPart(**asdict(found.slices)),
        "classes": found.classes,
    }


def _counted(figures: deployment_counts.DeploymentFigures) -> CountedWindows:
    lfs = [Lf(covered=lf.covered, **asdict(lf)) for lf in figures.lfs]
    return CountedWindows(
        records=figures.records, covered=figures.covered, blind=figures.blind, lfs=lfs
    )
