"""Incidents: what changed, and the alerts that moved along."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from tidegauge_alerts.incidents.incident import Incident
from tidegauge_service.api.context import Ctx, Cursor, Limit, Since, Until, find_stream
from tidegauge_service.api.filters import span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.api.problems import Problem
from tidegauge_service.store.alerting import incidents
from tidegauge_service.store.alerting.incident_fields import fields_of

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class IncidentSeries(BaseModel):
    """A series that moved: from what was expected of it, to what was seen."""

    series: str
    segment: str
    probe: str
    other: str
    label: str
    before: float | None = Field(serialization_alias="from", validation_alias="from")
    to: float | None
    alert: str
    state: str


class IncidentItem(BaseModel):
    """An incident: its roots are what changed, its children moved along."""

    id: str
    stream: str
    headline: str
    kind: str
    severity: str
    state: str
    cause: dict[str, Any] | None
    owner: str | None
    opened_window: str
    resolved_window: str | None
    roots: list[IncidentSeries]
    children: list[IncidentSeries]
    messages: int
    words: list[str]
    links: dict[str, str]


class Incidents(BaseModel):
    """A page of incidents, newest first; `next` is the cursor of the following one."""

    items: list[IncidentItem]
    next: str | None


@router.get("")
def list_incidents(
    ctx: Ctx,
    stream: Annotated[str | None, Query(description="Name of the stream.")] = None,
    state: Annotated[
        Literal["open", "resolved"] | None, Query(description="open or resolved")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Incidents:
    """List incidents by the window that their first alert opened in, newest first."""
    since_ms, until_ms = span(since, until)
    with ctx.database.read() as connection:
        if stream is not None:
            find_stream(connection, stream)
        found = incidents.page(
            connection,
            stream=stream,
            is_open=None if state is None else state == "open",
            since_ms=since_ms,
            until_ms=until_ms,
            limit=limit,
            after=from_cursor(cursor),
        )
        history = incidents.history_of(connection, [incident.id for incident in found])
    last = found[-1] if len(found) == limit else None
    following = to_cursor((last.opened_window_ms, last.id)) if last else None
    return Incidents(items=[_item(incident, history) for incident in found], next=following)


@router.get("/{incident_id}")
def show_incident(incident_id: str, ctx: Ctx) -> IncidentItem:
    """Show one incident."""
    with ctx.database.read() as connection:
        found = incidents.get(connection, incident_id)
    if found is None:
        raise Problem(404, "unknown_incident", incident_id)
    return _item(*found)


def _item(incident: Incident, history: incidents.History) -> IncidentItem:
    name, stream = incident.id, incident.root.stream
    links = {
        "self": f"/api/v1/incidents/{name}",
        "candidates": f"/api/v1/candidates?alert={incident.root.id}",
        "windows": f"/api/v1/streams/{stream}/windows",
    }
    return IncidentItem(**fields_of(incident, history), links=links)
