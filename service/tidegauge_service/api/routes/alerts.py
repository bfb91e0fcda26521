"""Alerts, with their evidence and history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tidegauge_alerts.model import Alert, AlertState, Transition
from tidegauge_service.api.context import Ctx, Cursor, Limit, Since, Until, find_stream
from tidegauge_service.api.filters import span
from tidegauge_service.api.paging import from_cursor, to_cursor
from tidegauge_service.api.problems import Problem
from tidegauge_service.clock import to_iso
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.alerting.alert_fields import fields_of

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])


class AlertItem(BaseModel):
    """An alert: which series, what it is now, and the figures of its latest shifted window."""

    id: str
    fingerprint: str
    incident: str
    stream: str
    series: str
    segment: str
    probe: str
    other: str
    label: str
    kind: str
    severity: str
    state: str
    reopened: int
    opened_window: str
    fired_window: str | None
    resolved_window: str | None
    last_window: str
    observed: float | None
    expected: float | None
    low: float | None
    high: float | None
    effect: float | None
    p_value: float | None
    n: int
    scale: int
    share: float | None
    share_expected: float | None
    probe_set: str
    baseline: str
    rule: str
    cause: dict[str, Any] | None
    copies: dict[str, Any] | None
    links: dict[str, str]


class AlertDetail(AlertItem):
    """An alert with every change of its state."""

    history: list[dict[str, Any]]


class Alerts(BaseModel):
    """A page of alerts, newest first; `next` is the cursor of the following one."""

    items: list[AlertItem]
    next: str | None


@router.get("")
def list_alerts(
    ctx: Ctx,
    stream: Annotated[str | None, Query(description="Name of the stream.")] = None,
    state: Annotated[
        AlertState | None, Query(description="pending, firing, settled or resolved")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Alerts:
    """List alerts by the window they opened in, newest first."""
    since_ms, until_ms = span(since, until)
    with ctx.database.read() as connection:
        if stream is not None:
            find_stream(connection, stream)
        found = alerts.page(
            connection,
            stream=stream,
            state=state,
            since_ms=since_ms,
            until_ms=until_ms,
            limit=limit,
            after=from_cursor(cursor),
        )
    last = found[-1] if len(found) == limit else None
    following = to_cursor((last.opened_window_ms, last.id)) if last else None
    return Alerts(items=[AlertItem(**_fields(alert)) for alert in found], next=following)


@router.get("/{alert_id}")
def show_alert(alert_id: str, ctx: Ctx) -> AlertDetail:
    """Show one alert with its history."""
    with ctx.database.read() as connection:
        found = alerts.get(connection, alert_id)
    if found is None:
        raise Problem(404, "unknown_alert", alert_id)
    alert, history = found
    return AlertDetail(**_fields(alert), history=[_transition(t) for t in history])


def _fields(alert: Alert) -> dict[str, Any]:
    links = {
        "self": f"/api/v1/alerts/{alert.id}",
        "candidates": f"/api/v1/candidates?alert={alert.id}",
        "windows": f"/api/v1/streams/{alert.stream}/windows",
    }
    return {**fields_of(alert), "links": links}


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "from": transition.from_state,
        "to": transition.to_state,
        "reason": transition.reason,
        "window": to_iso(transition.window_start_ms),
        "observed": transition.observed,
        "expected": transition.expected,
        "effect": transition.effect,
        "n": transition.n,
    }
