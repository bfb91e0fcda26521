"""What holds of the lifecycle for any findings at all."""

import json
import math
from collections import defaultdict
from dataclasses import asdict, replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.alerts.builders import HOUR_MS, NOON_MS, Run, context, run
from tests.alerts.strategies import findings, rules, sane
from tidegauge_alerts import Alert, AlertState, Rule, TransitionReason, advance
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind

# Histories are long; a slow machine must not fail for that.
thorough = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])

SERIES = [
    SeriesKey(SeriesKind.COVERAGE, probe="a"),
    SeriesKey(SeriesKind.COVERAGE, probe="b"),
    SeriesKey(SeriesKind.ERROR, probe="a"),
    SeriesKey(SeriesKind.BLIND_SPOT, segment="party=D"),
]
LEGAL = {
    (None, "pending", "shifted"),
    ("pending", "firing", "confirmed"),
    ("pending", "resolved", "cleared"),
    ("firing", "firing", "escalated"),
    ("firing", "firing", "reversed"),
    ("firing", "resolved", "recovered"),
    ("resolved", "firing", "reopened"),
    ("firing", "settled", "settled"),
    ("settled", "firing", "moved"),
    ("settled", "resolved", "recovered"),
}


often = st.sampled_from([True, True, True, False])


@st.composite
def windows(draw: st.DrawFn, most: int = 14) -> list[list[Finding]]:
    """Some windows, sane or not; each series may be missing from any."""
    series = SERIES[: draw(st.integers(1, len(SERIES)))]
    make = draw(st.sampled_from([sane, findings]))
    numbers = range(draw(st.integers(1, most)))
    return [[draw(make(key)) for key in series if draw(often)] for _ in numbers]


histories = st.tuples(windows(), rules).map(lambda drawn: run(*drawn))


@thorough
@given(histories)
def test_everything_stays_finite_and_can_be_stored(history: Run) -> None:
    for value in [*history.alerts.values(), *history.transitions]:
        json.dumps(asdict(value), allow_nan=False)
    for alert in history.alerts.values():
        assert math.isfinite(alert.resolve_score)
        assert alert.resolve_score >= 0
        assert math.isfinite(alert.shift)


@thorough
@given(histories)
def test_every_chain_of_transitions_is_legal(history: Run) -> None:
    chains = defaultdict(list)
    for transition in history.transitions:
        step = (transition.from_state, transition.to_state, transition.reason)
        assert step in LEGAL
        chains[transition.alert_id].append(transition)
    assert chains.keys() == history.alerts.keys()
    for alert_id, chain in chains.items():
        assert chain[0].from_state is None
        assert [t.from_state for t in chain[1:]] == [t.to_state for t in chain[:-1]]
        assert chain[-1].to_state is history.alerts[alert_id].state
        assert [t.window_start_ms for t in chain] == sorted(t.window_start_ms for t in chain)


@thorough
@given(histories)
def test_a_resolved_alert_never_changes_unless_it_reopens(history: Run) -> None:
    resolved: dict[str, Alert] = {}
    for step in history.steps:
        for name in [t.alert_id for t in step.transitions if t.reason == "reopened"]:
            before = resolved.pop(name)
            after = next(alert for alert in step.alerts if alert.id == name)
            assert (after.id, after.incident, after.key) == (before.id, before.incident, before.key)
            assert after.opened_window_ms == before.opened_window_ms
            assert after.fired_window_ms == before.fired_window_ms is not None
            assert (after.shift > 0) is (before.shift > 0)
            assert after.reopened == before.reopened + 1
        assert not resolved.keys() & {alert.id for alert in step.alerts}
        assert not resolved.keys() & {t.alert_id for t in step.transitions}
        resolved |= {a.id: a for a in step.alerts if a.state is AlertState.RESOLVED}
    assert all(history.alerts[name] == alert for name, alert in resolved.items())


@thorough
@given(histories)
def test_a_series_has_one_open_alert_at_most(history: Run) -> None:
    still_open = [a.key for a in history.alerts.values() if a.state is not AlertState.RESOLVED]
    assert len(still_open) == len(set(still_open))


@thorough
@given(histories)
def test_times_of_an_alert_are_in_order(history: Run) -> None:
    for alert in history.alerts.values():
        times = [alert.opened_window_ms, alert.fired_window_ms, alert.resolved_window_ms]
        known = [time for time in times if time is not None]
        assert known == sorted(known)
        assert known[-1] <= alert.last_window_ms
        assert (alert.resolved_window_ms is not None) is (alert.state is AlertState.RESOLVED)


@thorough
@given(windows(), rules, st.randoms())
def test_the_order_of_findings_and_alerts_does_not_matter(
    given_windows: list[list[Finding]], rule: Rule, random: Random
) -> None:
    *before, last = given_windows
    alerts = list(run(before, rule).alerts.values())
    start = NOON_MS + len(before) * HOUR_MS
    found = [replace(f, window_start_ms=start) for f in last]
    straight = advance(alerts, found, rule, context(len(before)))
    random.shuffle(found)
    random.shuffle(alerts)
    assert advance(alerts, found, rule, context(len(before))) == straight


@thorough
@given(windows(), rules)
def test_the_same_windows_give_the_same_history(
    given_windows: list[list[Finding]], rule: Rule
) -> None:
    assert run(given_windows, rule) == run(given_windows, rule)


@thorough
@given(windows(most=4), rules)
def test_evaluating_a_window_twice_changes_nothing(
    given_windows: list[list[Finding]], rule: Rule
) -> None:
    history = run(given_windows, rule)
    number = len(given_windows) - 1
    found = [replace(f, window_start_ms=NOON_MS + number * HOUR_MS) for f in given_windows[number]]
    last = history.steps[-1]
    open_alerts = tuple(a for a in last.alerts if a.state is not AlertState.RESOLVED)
    again = advance(last.alerts, found, rule, context(number))
    assert again.alerts == open_alerts
    assert again.transitions == ()


@thorough
@given(windows(), rules)
def test_severity_never_goes_down_and_a_drift_stays_one(
    given_windows: list[list[Finding]], rule: Rule
) -> None:
    graver: dict[str, tuple[bool, bool]] = {}
    for step in run(given_windows, rule).steps:
        for alert in step.alerts:
            now = (alert.severity == "critical", alert.kind == "drift")
            before = graver.get(alert.id, now)
            assert now[0] >= before[0]
            assert now[1] >= before[1]
            graver[alert.id] = now


@thorough
@given(histories)
def test_nothing_fires_that_was_not_shifted_for_long_enough(history: Run) -> None:
    for transition in history.transitions:
        if transition.reason is TransitionReason.CONFIRMED:
            alert = history.alerts[transition.alert_id]
            assert alert.streak >= 1
            assert alert.fired_window_ms == transition.window_start_ms
