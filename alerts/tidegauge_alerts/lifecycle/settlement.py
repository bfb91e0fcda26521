"""A firing alert settles at its new level, and fires again when its series leaves that."""

from __future__ import annotations

from dataclasses import replace

from tidegauge_alerts.lifecycle.level import anew, at_rest, has_left, lowered, settle
from tidegauge_alerts.lifecycle.recovery import log_odds_shift
from tidegauge_alerts.lifecycle.step import Step, transition_of
from tidegauge_alerts.model import Alert, AlertKind, AlertState, Rule, TransitionReason
from tidegauge_probes.findings import Finding


def rest(alert: Alert, finding: Finding, rule: Rule) -> Step | None:
    """Settle a firing alert whose series has stayed at its new level: it has lasted, so it drifts.

    Receivers hear that once, whatever they have heard of the episode before.
    """
    level = at_rest(alert, rule)
    if level is None:
        return None
    settled = settle(replace(alert, state=AlertState.SETTLED, kind=AlertKind.DRIFT), level)
    settled = replace(settled, told=True)
    return settled, [transition_of(alert, settled, TransitionReason.SETTLED, finding)]


def stay(before: Alert, after: Alert, finding: Finding, rule: Rule) -> Step:
    """Keep a settled alert quiet, as grave as it was, until its series leaves that level."""
    if not has_left(after, finding):
        kept = replace(after, kind=before.kind, severity=before.severity)
        return lowered(kept, rule), []
    moved = replace(after, state=AlertState.FIRING, shift=log_odds_shift(finding), told=True)
    moved = anew(replace(moved, resolve_score=0.0), finding)
    return moved, [transition_of(before, moved, TransitionReason.MOVED, finding)]
