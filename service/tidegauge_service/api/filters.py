"""Filters are checked: a value that cannot exist would give an empty list, as if all were well."""

from __future__ import annotations

from tidegauge_probes.errors import nearest
from tidegauge_probes.findings import ALL
from tidegauge_service.api.context import moment
from tidegauge_service.api.problems import Problem
from tidegauge_service.store import names
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow


def span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Read `since` and `until` (ms); Problem 422 if nothing can lie between them."""
    start, end = moment(since, "since"), moment(until, "until")
    if start is not None and end is not None and start >= end:
        detail = f"since {since} is not before until {until}, which is exclusive"
        raise Problem(422, "invalid_parameter", detail)
    return start, end


def check_lf(connection: Connection, stream: StreamRow | None, name: str | None) -> None:
    """Problem 404 for a name that no LF of the stream (None: of any) ever had."""
    if name is None:
        return
    known = names.lfs(connection, stream.id if stream else None)
    if name not in known:
        raise Problem(404, "unknown_lf", f"'{name}'{nearest(name[:200], known)}")


def check_segment(connection: Connection, stream: StreamRow | None, segment: str | None) -> None:
    """Problem 404 for a segment that no evaluated window of the stream (None: of any) has."""
    if segment is None or segment == ALL:
        return
    found = names.has_segment(connection, stream.id if stream else None, segment)
    if not found:
        detail = (
            f"no evaluated window has the segment '{segment}'; segments are '{ALL}', "
            "FIELD=VALUE or slices"
        )
        raise Problem(404, "unknown_segment", detail)


def check_alert(connection: Connection, alert_id: str | None) -> None:
    """Problem 404 for an alert that does not exist."""
    if alert_id is not None and alerts.get(connection, alert_id) is None:
        raise Problem(404, "unknown_alert", f"'{alert_id}'; GET /api/v1/alerts lists them")
