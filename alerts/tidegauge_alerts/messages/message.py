"""From the transitions of one evaluated window to the messages that tell of it. Pure.

A window gives at most three messages for each incident: it fires (or became graver), has settled,
is resolved. All receivers get the same body, in the format of ``messages.model.VERSION``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.lifecycle.identity import digest
from tidegauge_alerts.messages.model import VERSION, Message, Status
from tidegauge_alerts.messages.phrases import (
    MAX_SEGMENT,
    clean,
    names,
    origin,
    redeployed,
    sentence,
    settled,
)
from tidegauge_alerts.messages.times import iso
from tidegauge_alerts.model import (
    Alert,
    AlertKind,
    AlertState,
    Context,
    Rule,
    Transition,
    TransitionReason,
)
from tidegauge_probes.findings import Cause

MAX_ALERTS: Final = 50
"""Maximum alerts in one message; ``truncated`` says how many more there are."""


class _Topic(StrEnum):
    """What one message of a window is about; the value ends its key."""

    FIRING = "firing"
    SETTLED = "settled"
    RESOLVED = "resolved"

    @property
    def status(self) -> Status:
        """What is settled has not ended: its incident stays open."""
        return Status.RESOLVED if self is _Topic.RESOLVED else Status.FIRING

    @property
    def event(self) -> str:
        return "settled" if self is _Topic.SETTLED else "alert"


@dataclass(frozen=True, slots=True)
class _AlertChange:
    """A transition, and the alert it is of."""

    alert: Alert
    transition: Transition

    @property
    def sentence(self) -> str:
        if self.transition.reason is TransitionReason.REDEPLOYED:
            return redeployed(self.alert.key, rule=self.alert.rule)
        if self.alert.settled is not None:
            return settled(self.alert.key, self.alert.settled)
        over = self.transition.to_state is AlertState.RESOLVED
        text = sentence(self.alert.key, self.transition, rule=self.alert.rule, over=over)
        return text if over else text + origin(self.alert, self.transition.scale)


def notify_worthy(transition: Transition) -> bool:
    """Tell whether people should hear of it: firing, graver, settled, or over after it had fired.

    A reversal is recorded but not told: a series that swings would page at every swing. Nor is a
    re-opening (unless it is graver than ever), and then neither is its end.
    """
    if transition.silent:
        return False
    if transition.to_state is AlertState.FIRING:
        return transition.reason is not TransitionReason.REVERSED
    return transition.from_state in (AlertState.FIRING, AlertState.SETTLED)


def _moves_along(transition: Transition) -> bool:
    """Whether it is listed in the message of its incident, if there is one in this window."""
    if transition.to_state is AlertState.RESOLVED:
        return transition.from_state in (AlertState.FIRING, AlertState.SETTLED)
    return transition.reason in (TransitionReason.CONFIRMED, TransitionReason.SETTLED)


def messages_of(
    advance: Advance, rule: Rule, context: Context, candidates: int = 0, url: str = ""
) -> list[Message]:
    """Return the messages that an evaluated window gives, by incident; firing first.

    Args:
        advance: what the window did to the alerts.
        rule: the rule they follow, for the lineage.
        context: the window.
        candidates: how many records wait to be labeled.
        url: public address of the service, for links; without it there are none.
    """
    by_id = {alert.id: alert for alert in advance.alerts}
    by_topic: dict[tuple[_Topic, str], list[_AlertChange]] = {}
    for transition in advance.transitions:
        if notify_worthy(transition) or _moves_along(transition):
            alert = by_id[transition.alert_id]
            topic = _Topic(transition.to_state), alert.incident
            by_topic.setdefault(topic, []).append(_AlertChange(alert, transition))
    groups = [
        (topic, sorted(group, key=_strongest_first))
        for topic, group in by_topic.items()
        if any(notify_worthy(change.transition) for change in group)
    ]
    groups.sort(key=lambda g: (list(_Topic).index(g[0][0]), _strongest_first(g[1][0])))
    return [
        Message(
            dedup_key_of(context, topic, incident),
            _body(topic, group, rule, context, candidates, url),
        )
        for (topic, incident), group in groups
    ]


def dedup_key_of(context: Context, topic: str, incident: str = "") -> str:
    """Return the key by which receivers drop a message that they have already had.

    *topic*: ``firing``, ``settled`` or ``resolved``.
    """
    return f"{digest('message', context.stream, context.window_start_ms, incident)}-{topic}"


def headline(sentences: Sequence[str], status: str) -> str:
    """Return one sentence for many: the first, and how many more there are.

    *status*: a :class:`Status`, or ``settled``.

    >>> headline(["Blind spot 34.8 % → 63.1 % of records", "…", "…"], Status.FIRING)
    'Blind spot 34.8 % → 63.1 % of records, with 2 more series shifted'
    """
    more = len(sentences) - 1
    verb = "shifted" if status == Status.FIRING else status
    return f"{sentences[0]}, with {more} more series {verb}" if more else sentences[0]


def _strongest_first(change: _AlertChange) -> tuple[bool, bool, float, float, str]:
    """What is news first, and faults: a broken LF explains the rest. Then by evidence, effect."""
    alert = change.alert
    effect = abs(math.log(alert.effect)) if alert.effect and alert.effect > 0 else 0.0
    silent, fault = change.transition.silent, alert.kind is AlertKind.FAULT
    return silent, not fault, -abs(alert.rank), -effect, alert.id


def _headline(topic: _Topic, changes: Sequence[_AlertChange], stream: str) -> str:
    """Return the headline of a message; of a new normal it says how to accept it."""
    said = headline([one.sentence for one in changes], topic)
    levels = [one.alert.settled.from_ms for one in changes if one.alert.settled is not None]
    if topic is not _Topic.SETTLED or not levels:
        return said
    # From where all of them are level: a baseline must not mix the old normal with the new.
    accept = f"`tidegauge baseline accept {stream} --from {iso(max(levels))}`"
    return f"{said}. If this is the new normal, accept it as the baseline: {accept}"


def _body(  # noqa: PLR0917
    topic: _Topic,
    changes: Sequence[_AlertChange],
    rule: Rule,
    context: Context,
    candidates: int,
    url: str,
) -> dict[str, Any]:
    stream, incident = clean(context.stream), changes[0].alert.incident
    return {
        "version": VERSION,
        "event": topic.event,
        "status": str(topic.status),
        "group_key": f"{stream}:{incident}",
        "stream": stream,
        "incident": incident,
        "headline": _headline(topic, changes, stream),
        "window": {
            "start": iso(context.window_start_ms),
            "end": iso(context.window_start_ms + context.window_ms),
        },
        "alerts": [_entry(one) for one in changes[:MAX_ALERTS]],
        "truncated": max(len(changes) - MAX_ALERTS, 0),
        "candidates": candidates,
        "links": _links(url, context.stream),
        "lineage": {
            "probe_set": context.probe_set,
            "baseline": context.baseline,
            "rule": _rule(rule),
        },
    }


def _rule(rule: Rule) -> dict[str, Any]:
    """Return what the rule decides by; who else is told is no receiver's business."""
    values = {**asdict(rule), "step_clip": list(rule.step_clip)}
    del values["receivers"], values["name"]
    return values


def _entry(change: _AlertChange) -> dict[str, Any]:
    """Return one alert of a message: its identity, and the figures of the window it reports."""
    alert, figures = change.alert, change.transition
    return {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "incident": alert.incident,
        **names(alert.key),
        "rule": clean(alert.rule, MAX_SEGMENT),
        "cause": None if alert.cause is None else _cause(alert.cause),
        "copies": None if alert.copies is None else asdict(alert.copies),
        "kind": str(figures.kind),
        "kind_text": figures.kind.text,
        "severity": str(figures.severity),
        "state": str(figures.to_state),
        "reason": str(figures.reason),
        "observed": figures.observed,
        "expected": figures.expected,
        "band": [figures.low, figures.high],
        "scale": figures.scale,
        "share": figures.share,
        "share_expected": figures.due,
        "effect": figures.effect,
        "p_value": figures.p_value,
        "n": figures.n,
        "reopened": alert.reopened,
        "opened_window": iso(alert.opened_window_ms),
        "fired_window": _iso(alert.fired_window_ms),
        "resolved_window": _iso(alert.resolved_window_ms),
        "text": f"{figures.kind.text}: {change.sentence}",
    }


def _cause(cause: Cause) -> dict[str, Any]:
    named = {"field": clean(cause.field), "segment": clean(cause.segment, MAX_SEGMENT)}
    values = [
        {**asdict(value), "segment": clean(value.segment, MAX_SEGMENT)} for value in cause.values
    ]
    return {**asdict(cause), "kind": str(cause.kind), **named, "values": values}


def _links(url: str, stream: str) -> dict[str, str]:
    if not url:
        return {}
    base, query = url.rstrip("/"), f"?stream={quote(stream, safe='', errors='replace')}"
    return {
        "page": f"{base}/",
        "alerts": f"{base}/api/v1/alerts{query}",
        "candidates": f"{base}/api/v1/candidates{query}",
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
