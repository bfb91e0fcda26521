"""From the findings of one window to the alerts after it. Pure: no clock, no memory.

What a verdict does to an alert:

==================================  ========================================================
verdict                             effect
==================================  ========================================================
``shifted``                         opens, or sustains (in either direction)
``ok``, ``learning``, ``wanders``   quiet: clears a pending alert, counts towards recovery
``no_data``, ``low_volume``         nothing: silence is no proof of health
``baseline``, or no finding         nothing: the series was not compared
==================================  ========================================================

What is shifted soon after a resolve, to the same side, re-opens that alert (``memory``). What
stays at one level off the baseline settles there, and is quiet until it leaves it (``level``).

An open alert that was found with another ProbeSet or baseline than the window's resolves as
``redeployed``, whatever the findings are; those may open a new one in the same window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from tidegauge_alerts.lifecycle.grade import kind_of, severity_of
from tidegauge_alerts.lifecycle.identity import fingerprint, incident_of, occurrence
from tidegauge_alerts.lifecycle.level import anew, followed, lowered
from tidegauge_alerts.lifecycle.memory import may_resolve, remembered
from tidegauge_alerts.lifecycle.recovery import log_odds_shift, recovery_step
from tidegauge_alerts.lifecycle.settlement import rest, stay
from tidegauge_alerts.lifecycle.step import Step, ended, is_graver, resolve, transition_of
from tidegauge_alerts.model import (
    Alert,
    AlertKind,
    AlertState,
    Context,
    Figures,
    Rule,
    Severity,
    Transition,
    TransitionReason,
    figures_of,
)
from tidegauge_probes.findings import Finding, SeriesKey, Verdict

COMPARED: Final = frozenset({Verdict.SHIFTED, Verdict.OK, Verdict.LEARNING, Verdict.WANDERS})
"""Verdicts that carry information about the series."""


@dataclass(frozen=True, slots=True)
class Advance:
    """The alerts after a window (open ones, and those it resolved), and what changed in it.

    Alerts are sorted by id; the transitions of one alert are in the order they happened.
    """

    alerts: tuple[Alert, ...]
    transitions: tuple[Transition, ...]


def merged(parts: Iterable[Advance]) -> Advance:
    """Merge what several rules made of one window."""
    given = tuple(parts)
    alerts = sorted((a for part in given for a in part.alerts), key=lambda alert: alert.id)
    return Advance(tuple(alerts), tuple(t for part in given for t in part.transitions))


def advance(
    known: Iterable[Alert], findings: Iterable[Finding], rule: Rule, context: Context
) -> Advance:
    """Return what becomes of the stream's alerts in one evaluated window.

    *known*: the open alerts, and those that resolved within the rule's memory, which may re-open.
    Resolved ones that do not are left out of the answer.

    Call it once for each window, in order, with *all* findings of the window. The order of either
    does not matter. A window that an alert has already seen does not count again, so evaluating
    one twice changes nothing, if the alerts it resolved are given, too.

    An example, with the default rule. An LF that votes on 8 % of the records is broken by an
    upstream change in window 10 and fixed in window 13 (n_eff = 500; ``S`` is the CUSUM of
    :func:`tidegauge_alerts.lifecycle.recovery.recovery_step`, p0 = .08, p1 = .0049 in all steps)::

        window  coverage  verdict  quiet   S    alert
        10       0.4 %    shifted    0    0.0   None → pending (shifted) → firing (confirmed)
        11       0.4 %    shifted    0    0.0   firing; the step is clipped at -4, S stays ≥ 0
        12                no_data    0    0.0   firing; nothing is known
        13       7.9 %    ok         1    2.0   firing; the step of +80 nats is clipped at +2
        14       8.3 %    ok         2    4.0   firing
        15       8.0 %    ok         3    6.0   firing; quiet for 3 windows, but S < 6.9
        16       7.8 %    ok         4    8.0   firing → resolved (recovered)

    Raises ValueError for a finding of another window, and for two findings of one series.
    """
    by_key = _by_key(findings, context)
    given = tuple(known)
    still_open = [alert for alert in given if alert.state is not AlertState.RESOLVED]
    other = [alert for alert in still_open if not _same_ruler(alert, context)]
    gone = withdraw(other, TransitionReason.REDEPLOYED, context.window_start_ms)
    still_open = [alert for alert in still_open if _same_ruler(alert, context)]
    taken = {a.key for a in given if not _over(a, context) and _same_ruler(a, context)}
    steps = [_follow(alert, by_key.get(alert.key), rule, context) for alert in still_open]
    steps += [(a, [t]) for a, t in zip(gone.alerts, gone.transitions, strict=True)]
    before = [alert for alert in given if _over(alert, context) and _same_ruler(alert, context)]
    steps += [
        _begin(finding, before, rule, context)
        for key, finding in by_key.items()
        if finding.shifted and key not in taken
    ]
    steps.sort(key=lambda step: step[0].id)
    return Advance(
        tuple(alert for alert, _ in steps),
        tuple(transition for _, made in steps for transition in made),
    )


def _over(alert: Alert, context: Context) -> bool:
    """Whether it resolved in an earlier window, so that its series may shift again."""
    resolved = alert.resolved_window_ms
    return resolved is not None and resolved < context.window_start_ms


def _same_ruler(alert: Alert, context: Context) -> bool:
    """Whether the alert was measured with what the window is measured with."""
    return (alert.probe_set, alert.baseline) == (context.probe_set, context.baseline)


def _by_key(findings: Iterable[Finding], context: Context) -> Mapping[SeriesKey, Finding]:
    found: dict[SeriesKey, Finding] = {}
    for finding in findings:
        if finding.window_start_ms != context.window_start_ms:
            raise ValueError(
                f"finding of {finding.key} is for window {finding.window_start_ms}, not "
                f"for {context.window_start_ms}"
            )
        if finding.key in found:
            raise ValueError(f"there are two findings of {finding.key} in one window")
        found[finding.key] = finding
    return found


def _begin(finding: Finding, before: list[Alert], rule: Rule, context: Context) -> Step:
    """Open an alert, or re-open the one that this shift belongs to."""
    known = remembered(before, finding, rule, context)
    return (
        _open(finding, rule, context) if known is None else _reopen(known, finding, rule, context)
    )


def _reopen(alert: Alert, finding: Finding, rule: Rule, context: Context) -> Step:
    """Let an alert fire again. It was confirmed once; receivers hear only of what is graver."""
    between = (context.window_start_ms - alert.last_window_ms) // context.window_ms
    streak, seen = alert.streak + 1, alert.seen + between
    again = replace(
        alert,
        kind=kind_of(finding, alert.kind, streak, seen, rule),
        severity=severity_of(finding, alert.severity, rule, context.records),
        state=AlertState.FIRING,
        resolved_window_ms=None,
        last_window_ms=context.window_start_ms,
        streak=streak,
        seen=seen,
        quiet=0,
        resolve_score=0.0,
        shift=log_odds_shift(finding),
        reopened=alert.reopened + 1,
        reopened_window_ms=context.window_start_ms,
        **figures_of(finding),
    )
    again = anew(replace(again, told=is_graver(alert, again)), finding)
    made = transition_of(alert, again, TransitionReason.REOPENED, finding)
    return again, [replace(made, silent=not again.told)]


def _open(finding: Finding, rule: Rule, context: Context) -> Step:
    name = fingerprint(context.stream, finding.key, rule.name)
    alert = Alert(
        id=occurrence(name, context.window_start_ms),
        fingerprint=name,
        incident=incident_of(name, context.window_start_ms),
        stream=context.stream,
        key=finding.key,
        kind=kind_of(finding, AlertKind.SPIKE, 1, 1, rule),
        severity=severity_of(finding, Severity.WARNING, rule, context.records),
        state=AlertState.PENDING,
        opened_window_ms=context.window_start_ms,
        last_window_ms=context.window_start_ms,
        streak=1,
        quiet=0,
        resolve_score=0.0,
        shift=log_odds_shift(finding),
        probe_set=context.probe_set,
        baseline=context.baseline,
        rule=rule.name,
        onset_ms=context.window_start_ms - (finding.scale - 1) * context.window_ms,
        **figures_of(finding),
    )
    alert = anew(alert, finding)
    opened = transition_of(None, alert, TransitionReason.SHIFTED, finding)
    fired, transitions = _confirm(alert, finding, rule)
    return fired, [opened, *transitions]


def _follow(alert: Alert, finding: Finding | None, rule: Rule, context: Context) -> Step:
    if finding is None or finding.verdict not in COMPARED:
        return alert, []
    if context.window_start_ms <= alert.last_window_ms:
        return alert, []
    if not finding.shifted or _only_of_the_past(alert, finding, rule):
        return _calm(alert, finding, rule)
    sustained = _sustain(alert, finding, rule, context)
    if alert.state is AlertState.PENDING:
        return _confirm(sustained, finding, rule)
    if alert.state is AlertState.SETTLED:
        return stay(alert, sustained, finding, rule)
    return rest(sustained, finding, rule) or _escalate(alert, sustained, finding)


def _only_of_the_past(alert: Alert, finding: Finding, rule: Rule) -> bool:
    """Whether only windows before this one are shifted: it speaks for the baseline itself."""
    return finding.scale > 1 and recovery_step(finding, alert.shift, rule.step_clip) > 0


def _sustain(alert: Alert, finding: Finding, rule: Rule, context: Context) -> Alert:
    streak, seen = alert.streak + 1, alert.seen + 1
    sustained = replace(
        alert,
        kind=kind_of(finding, alert.kind, streak, seen, rule),
        severity=severity_of(finding, alert.severity, rule, context.records),
        last_window_ms=context.window_start_ms,
        streak=streak,
        seen=seen,
        quiet=0,
        resolve_score=_score(alert, finding, rule),
        **figures_of(finding),
    )
    if _rises(alert) is _rises(sustained) or alert.state is AlertState.SETTLED:
        return followed(sustained, finding, rule)
    # Evidence against the old shift says nothing about the new one.
    turned = replace(sustained, shift=log_odds_shift(finding), resolve_score=0.0)
    return anew(turned, finding)


def _confirm(alert: Alert, finding: Finding, rule: Rule) -> Step:
    """Let a pending alert fire, once it has been shifted for as many windows as the rule asks."""
    if alert.streak < rule.for_windows:
        return alert, []
    fired = replace(alert, state=AlertState.FIRING, fired_window_ms=alert.last_window_ms, told=True)
    return fired, [transition_of(alert, fired, TransitionReason.CONFIRMED, finding)]


def _escalate(before: Alert, after: Alert, finding: Finding) -> Step:
    """Record that a firing alert became graver, or changed sides; graver weighs more."""
    if is_graver(before, after):
        graver = replace(after, told=True)
        return graver, [transition_of(before, graver, TransitionReason.ESCALATED, finding)]
    if _rises(before) is not _rises(after):
        return after, [transition_of(before, after, TransitionReason.REVERSED, finding)]
    return after, []


def _calm(alert: Alert, finding: Finding, rule: Rule) -> Step:
    calmer = replace(
        alert,
        last_window_ms=finding.window_start_ms,
        seen=alert.seen + 1,
        quiet=alert.quiet + 1,
        resolve_score=_score(alert, finding, rule),
    )
    calmer = followed(calmer, finding, rule)
    if alert.state is AlertState.PENDING:
        return resolve(calmer, TransitionReason.CLEARED, finding)
    if may_resolve(calmer, rule):
        return resolve(calmer, TransitionReason.RECOVERED, finding)
    if alert.state is AlertState.SETTLED:
        return lowered(calmer, rule), []
    return rest(calmer, finding, rule) or (calmer, [])


def withdraw(alerts: Iterable[Alert], reason: TransitionReason, window_start_ms: int) -> Advance:
    """Resolve alerts that nothing will be found of any more, with the figures they had.

    Those that are resolved already are left out.
    """
    given = [alert for alert in alerts if alert.state is not AlertState.RESOLVED]
    transitions = tuple(
        Transition(
            alert_id=alert.id,
            from_state=alert.state,
            to_state=AlertState.RESOLVED,
            reason=reason,
            window_start_ms=window_start_ms,
            kind=alert.kind,
            severity=alert.severity,
            silent=not alert.told,
            **{field.name: getattr(alert, field.name) for field in fields(Figures)},
        )
        for alert in given
    )
    return Advance(tuple(ended(a, window_start_ms, recovered=False) for a in given), transitions)


def _score(alert: Alert, finding: Finding, rule: Rule) -> float:
    return max(0.0, alert.resolve_score + recovery_step(finding, alert.shift, rule.step_clip))


def _rises(alert: Alert) -> bool:
    """Whether the series is shifted upwards."""
    if alert.scale > 1 and alert.due is not None:
        return (alert.share or 0.0) >= alert.due
    return (alert.observed or 0.0) >= (alert.expected or 0.0)
