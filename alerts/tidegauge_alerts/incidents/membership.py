"""Which alerts are one incident: those that one cause has moved. Pure.

An incident has a root, the alert whose series the cause has moved most. What opens later joins the
incident whose root it is kin to, if that is open: the same LF in a segment, the pairs of an LF, LFs
that vote on the same records, what a growing blind spot dilutes. Where the counts cannot tell, what
began at the same moment is one incident; where they say that the records differ, it never is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.lifecycle.identity import incident_of
from tidegauge_alerts.model import Alert, AlertKind, AlertState, Context, TransitionReason
from tidegauge_probes.findings import ALL, CauseKind, Kinship, SeriesKey, SeriesKind

Kin = Callable[[SeriesKey, SeriesKey], Kinship]

PRIMARY: Final = frozenset(
    {
        SeriesKind.BLIND_SPOT,
        SeriesKind.COPIES,
        SeriesKind.COVERAGE,
        SeriesKind.ERROR,
        SeriesKind.SEGMENT_SHARE,
        SeriesKind.VOLUME,
    }
)
"""Series that others follow from, but not the other way round: these are roots if any is there."""

AT_ONCE: Final = 3
"""So many LFs do not break by chance in one window, each for a reason of its own."""

MOST_COPIES: Final = 0.5
"""Share of a shift that copies make up, from which it is the copies' incident."""

MOVES_ON: Final = frozenset({TransitionReason.ESCALATED, TransitionReason.MOVED})
"""What an alert does to become an incident of its own, once the root has recovered."""


@dataclass
class _Incident:
    """An incident while it is put together: its root, and the alerts that joined."""

    root: Alert
    is_new: bool
    joined: list[Alert] = field(default_factory=list)

    @property
    def members(self) -> list[Alert]:
        return [self.root, *self.joined]


def grouped(after: Advance, before: Iterable[Alert], kin: Kin, context: Context) -> Advance:
    """Return the same alerts; those that opened in this window are in the incident of their cause.

    *before*: the alerts before the window; *kin*: what the records say of two series. Alerts of
    rules that people wrote are incidents of their own: nobody wrote them to be told by another.
    """
    earlier = {alert.id: alert for alert in before}
    known = set(earlier)
    new = [alert for alert in after.alerts if alert.id not in known and not alert.rule]
    incidents = _open_incidents(after.alerts, known)
    for alert in sorted(new, key=strength):
        _place(alert, incidents, kin, context)
    incidents = _at_once(_reconsidered(incidents, kin))
    joined = {a.id: i.root.incident for i in incidents for a in i.joined}
    alone = _moved_on(after, earlier)

    def placed(alert: Alert) -> Alert:
        if alert.id in alone:
            name = incident_of(alert.fingerprint, context.window_start_ms)
            return replace(alert, incident=name, root=True)
        if alert.id in joined:
            return replace(alert, incident=joined[alert.id], root=False)
        return alert

    return replace(after, alerts=tuple(map(placed, after.alerts)))


def strength(alert: Alert) -> tuple[bool, bool, bool, float, float, str]:
    """Return a sort key: roots before what joined them, and then what explains most.

    A broken LF explains the rest; what follows from other series explains nothing.
    """
    follows, fault = alert.key.series not in PRIMARY, alert.kind is AlertKind.FAULT
    effect = abs(math.log(alert.effect)) if alert.effect and alert.effect > 0 else 0.0
    return not alert.root, not fault, follows, -abs(alert.rank), -effect, alert.id


def _open_incidents(alerts: Sequence[Alert], known: set[str]) -> list[_Incident]:
    """Return the open incidents, each with its root, or else the strongest alert that is left."""
    by_incident: dict[str, list[Alert]] = {}
    for alert in sorted(alerts, key=strength):
        if alert.id in known and alert.state is not AlertState.RESOLVED and not alert.rule:
            by_incident.setdefault(alert.incident, []).append(alert)
    return [_Incident(root, is_new=False, joined=joined) for root, *joined in by_incident.values()]


def _place(alert: Alert, incidents: list[_Incident], kin: Kin, context: Context) -> None:
    """Let an alert join the incident of its cause, or begin one."""
    said = [(_of_incident(alert, incident, kin), incident) for incident in incidents]
    same = [incident for kinship, incident in said if kinship is Kinship.SAME]
    at_once = [
        incident
        for kinship, incident in said
        if kinship is Kinship.UNKNOWN and _began_together(alert, incident.root, context)
    ]
    followed = [i for i in incidents if _follows(alert, i.root)]
    for incident in [*same, *at_once, *followed][:1]:
        incident.joined.append(alert)
        return
    incidents.append(_Incident(alert, is_new=True))


def _reconsidered(incidents: list[_Incident], kin: Kin) -> list[_Incident]:
    """Merge new incidents into those whose members turn out to be kin to their root.

    A weaker series may explain a stronger one: an LF is diluted by a blind spot that came after it.
    """
    kept = list(incidents)
    for one in reversed(incidents):
        others = [i for i in kept if i is not one] if one.is_new else []
        same = [i for i in others if _of_incident(one.root, i, kin) is Kinship.SAME]
        for other in same[:1]:
            other.joined += one.members
            kept = [i for i in kept if i is not one]
    return kept


def _follows(alert: Alert, root: Alert) -> bool:
    """Whether it cannot tell of a cause of its own while the root's series is off."""
    return alert.key.series not in PRIMARY and root.key.series in PRIMARY


def _of_incident(alert: Alert, incident: _Incident, kin: Kin) -> Kinship:
    """Return the kinship to the root; and to what is of all records, if that is the same."""
    whole = [m for m in incident.members if m.key.series in PRIMARY and m.key.segment == ALL]
    others = (_kinship(alert, member, kin) for member in whole)
    return Kinship.SAME if Kinship.SAME in others else _kinship(alert, incident.root, kin)


def _kinship(alert: Alert, root: Alert, kin: Kin) -> Kinship:
    if _told_by_cause(alert, root) or _told_by_cause(root, alert):
        return Kinship.SAME
    return kin(alert.key, root.key)


def _told_by_cause(alert: Alert, root: Alert) -> bool:
    """Whether the cause that was found for an alert is what the root is about."""
    cause, copies = alert.cause, alert.copies
    if root.key.series is SeriesKind.COPIES:
        return copies is not None and copies.share >= MOST_COPIES
    if cause is None:
        return False
    if root.key.series is SeriesKind.SEGMENT_SHARE:
        of_mix = cause.kind in {CauseKind.MIX, CauseKind.SIMPSON}
        return of_mix and root.key.segment.startswith(f"{cause.field}=")
    return cause.kind is CauseKind.CLASSES and root.cause is not None and cause.same(root.cause)


def _began_together(alert: Alert, root: Alert, context: Context) -> bool:
    same_window = alert.opened_window_ms == root.opened_window_ms
    return same_window or abs(alert.onset_ms - root.onset_ms) <= context.window_ms


def _at_once(incidents: list[_Incident]) -> list[_Incident]:
    """Merge incidents of one LF each that began in this window, if there are too many for chance.

    What the blind spot gains when LFs stop voting is theirs, too.
    """
    kept = incidents
    for rises in (True, False):
        lone = [i for i in kept if i.is_new and _is_lone_lf(i) and (i.root.shift > 0) is rises]
        if len(lone) >= AT_ONCE:
            blind = [i for i in kept if i.is_new and _is_blind_spot(i.root, rises=not rises)]
            first, *others = sorted([*lone, *blind], key=lambda i: strength(i.root))
            first.joined += [alert for other in others for alert in other.members]
            kept = [i for i in kept if not any(i is other for other in others)]
    return kept


def _is_lone_lf(incident: _Incident) -> bool:
    lfs = {alert.key.probe for alert in incident.members if alert.key.series in PRIMARY}
    return incident.root.key.series is SeriesKind.COVERAGE and len(lfs) == 1


def _is_blind_spot(alert: Alert, *, rises: bool) -> bool:
    return alert.key.series is SeriesKind.BLIND_SPOT and (alert.shift > 0) is rises


def _moved_on(after: Advance, before: Mapping[str, Alert]) -> set[str]:
    """Return the alerts that are graver now though the root of their incident has recovered.

    The one that carries the news of the incident on stays in it.
    """
    open_roots = {a.incident for a in after.alerts if a.root and a.state is not AlertState.RESOLVED}
    moved = {t.alert_id for t in after.transitions if t.reason in MOVES_ON}
    return {
        alert.id
        for alert in after.alerts
        if alert.id in moved and alert.id in before and not before[alert.id].told
        if not alert.root and alert.incident not in open_roots
    }
