"""Change the deployments of a stream.

Whoever has the token may promote and roll back. What is *sent* can only be templates: no request
makes a worker import or read anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tidegauge_alerts.errors import RuleError
from tidegauge_alerts.rules import check_names
from tidegauge_probes import ProbeSet
from tidegauge_probes.errors import BaselineError, ProbeError
from tidegauge_probes.labeling.loading import load_contents, load_templates
from tidegauge_probes.model import MAX_CLASSES
from tidegauge_service.api.context import ApiContext, Ctx, find_stream, moment
from tidegauge_service.api.problems import Problem
from tidegauge_service.api.requests.json_body import JsonRoute, Name
from tidegauge_service.api.routes.deployments import DeploymentRow, deployment_id, deployment_item
from tidegauge_service.deployments import changes
from tidegauge_service.deployments.changes import Wanted
from tidegauge_service.errors import ChangeRefused
from tidegauge_service.store import baselines, deployments, probe_sets, streams
from tidegauge_service.store.deployments import Author, Reference
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow

router = APIRouter(prefix="/api/v1/streams", tags=["deployments"], route_class=JsonRoute)

POSTED = "(posted)"
"""Stands for the reference of a ProbeSet that has no file: workers build it from what is kept."""


Balance = Annotated[dict[Name, float], Field(max_length=MAX_CLASSES)]
"""Class → share of the records."""


class Deploying(BaseModel):
    """A ProbeSet of templates, sent as `probes` (a document as its file would hold it) or named.

    `probe_set` is the id of one that was deployed before. `baseline`: its name or id; a shadow
    may do without.
    """

    model_config = ConfigDict(extra="forbid")

    role: Literal["live", "shadow"]
    probes: dict[str, Any] | None = None
    probe_set: Name | None = Field(default=None, max_length=64)
    baseline: Name | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.probes is None) == (self.probe_set is None):
            msg = "give either probes or probe_set"
            raise ValueError(msg)
        return self


class Promoting(BaseModel):
    """`baseline`: a name or id; not given, the shadow's, or one frozen from its windows."""

    model_config = ConfigDict(extra="forbid")

    baseline: Name | None = Field(default=None, max_length=200)


class Accepting(BaseModel):
    """Windows of the live deployment that are the new normal: those that start in [from, until).

    `from`: not given, when the oldest open alert opened. `until`: not given, as far as windows are
    evaluated. Both are starts of windows. `balance`: class → its share in them, if you know it.
    """

    model_config = ConfigDict(extra="forbid")

    from_: str | None = Field(default=None, alias="from", max_length=40)
    until: str | None = Field(default=None, max_length=40)
    balance: Balance | None = None


@router.post("/{name}/deployments", status_code=201)
def deploy_probe_set(name: str, body: Annotated[Deploying, Body()], ctx: Ctx) -> DeploymentRow:
    """Deploy templates, live or as a shadow, from the next window on."""
    stream = _find(ctx, name)
    with _told():
        wanted = _wanted(ctx, stream, body)
        change = changes.shadow if body.role == "shadow" else changes.deploy
        return deployment_item(change(ctx.database, stream, wanted, _author(ctx)))


@router.post("/{name}/deployments/promote", status_code=201)
def promote_deployment(
    name: str,
    ctx: Ctx,
    body: Annotated[Promoting, Body()] = Promoting(),  # noqa: B008  (never changed)
) -> DeploymentRow:
    """Make the shadow live, from the next window on."""
    stream = _find(ctx, name)
    with _told():
        made = changes.promote(ctx.database, stream, _author(ctx), baseline=body.baseline)
    return deployment_item(made)


@router.post("/{name}/deployments/rollback", status_code=201)
def roll_back_deployment(name: str, ctx: Ctx) -> DeploymentRow:
    """Deploy again what was live before, with its baseline, from the next window on."""
    stream = _find(ctx, name)
    with _told():
        return deployment_item(changes.roll_back(ctx.database, stream, _author(ctx)))


@router.post("/{name}/deployments/accept", status_code=201)
def accept_baseline(
    name: str,
    ctx: Ctx,
    body: Annotated[Accepting, Body()] = Accepting(),  # noqa: B008  (never changed)
) -> DeploymentRow:
    """Compare the live deployment with its own windows of late, from the next window on."""
    stream = _find(ctx, name)
    since, until = moment(body.from_, "from"), moment(body.until, "until")
    with _told():
        made = changes.accept(
            ctx.database,
            stream,
            _author(ctx),
            since_ms=since,
            until_ms=until,
            balance=body.balance,
        )
    return deployment_item(made)


@router.delete("/{name}/deployments/shadow")
def end_shadow(name: str, ctx: Ctx) -> DeploymentRow:
    """Let the shadow count no more, from the next window on."""
    stream = _find(ctx, name)
    with _told():
        return deployment_item(changes.end_shadow(ctx.database, stream, _author(ctx)))


def _find(ctx: ApiContext, name: str) -> StreamRow:
    """Return the stream. A transaction of its own: the change begins by taking its locks."""
    with ctx.database.read() as connection:
        return find_stream(connection, name)


def _wanted(ctx: ApiContext, stream: StreamRow, body: Deploying) -> Wanted:
    """Return what is to be deployed; Problem 404, 409 or 422 if it cannot be from here."""
    with ctx.database.read() as connection:
        probe_set, reference = _templates(connection, stream, body)
        rules = streams.config_of(connection, stream.id).alerts.user_rules
        found = baselines.find(connection, body.baseline) if body.baseline else None
    for rule in rules:
        check_names(rule, probe_set.layout.probes, probe_set.classes)
    if found is None:
        return Wanted(probe_set, reference)
    length = stream.window_ms
    baselines.check(found, stream=stream.name, probe_set=probe_set.id, window_ms=length)
    return Wanted(probe_set, reference, Reference(found.id))


def _templates(connection: Connection, stream: StreamRow, body: Deploying) -> tuple[ProbeSet, str]:
    """Return a ProbeSet and its reference, without importing or reading anything."""
    if body.probe_set is None:
        try:
            return load_templates(body.probes, "probes"), POSTED
        except ProbeError as error:
            raise Problem(422, "invalid_probes", str(error)) from error
    name = deployment_id(connection, stream, body.probe_set)
    known = deployments.of_stream(connection, stream.id)
    kept = probe_sets.contents_of(connection, name)
    again = load_contents(kept, name) if kept else None
    if again is None:
        detail = f"ProbeSet {name} has LFs in Python: `tidegauge probes deploy` loads their files"
        raise Problem(409, "change_refused", detail)
    return again, next(d.reference for d in reversed(known) if d.probe_set == name)


def _author(ctx: ApiContext) -> Author:
    return Author("api", ctx.clock())


@contextmanager
def _told() -> Iterator[None]:
    """Answer 409 where a change is refused, with the reason."""
    try:
        yield
    except (ChangeRefused, BaselineError, RuleError) as error:
        raise Problem(409, "change_refused", str(error)) from error
