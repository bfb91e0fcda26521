import math

import pytest

from tests.alerts.builders import (
    BLIND_SPOT,
    COVERAGE,
    ERRORS,
    NOON_MS,
    context,
    finding,
    fired,
    nothing,
    quiet,
    run,
    shifted,
)
from tidegauge_alerts import AlertKind, AlertState, Rule, Severity, advance
from tidegauge_probes.findings import Verdict


def test_a_shifted_series_fires_at_once_and_the_pending_state_is_recorded() -> None:
    assert run([shifted()]).chain == [
        (None, "pending", "shifted"),
        ("pending", "firing", "confirmed"),
    ]


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.SHIFTED])
def test_nothing_else_opens_an_alert(verdict: Verdict) -> None:
    step = fired(finding(verdict, 0.9))
    assert (step.alerts, step.transitions) == ((), ())


def test_a_window_without_findings_changes_nothing() -> None:
    assert advance([], [], Rule(), context()).alerts == ()


def test_a_new_alert_says_what_where_and_by_which_evidence() -> None:
    alert = run([shifted(0.004)]).alert
    assert (alert.stream, alert.key, alert.state) == ("spam", COVERAGE, AlertState.FIRING)
    assert alert.opened_window_ms == alert.fired_window_ms == alert.last_window_ms == NOON_MS
    assert alert.resolved_window_ms is None
    assert (alert.x, alert.n, alert.observed, alert.expected) == (4, 1000, 0.004, 0.08)
    assert (alert.streak, alert.quiet, alert.resolve_score) == (1, 0, 0.0)
    assert (alert.probe_set, alert.baseline) == ("probes-1", "base-1")


def test_transitions_carry_the_figures_of_their_window() -> None:
    opened, confirmed = run([shifted(0.004)]).transitions
    for transition in (opened, confirmed):
        assert (transition.x, transition.n, transition.observed) == (4, 1000, 0.004)
        assert transition.window_start_ms == NOON_MS
        assert transition.effect is not None


def test_the_shift_at_onset_is_never_infinite() -> None:
    silent, certain = run([shifted(0.0)]).alert, run([shifted(1.0)]).alert
    assert silent.shift == pytest.approx(math.log(0.0005 / 1.0005 * 0.92 / 0.08))
    assert certain.shift == pytest.approx(math.log(1.0005 / 0.0005 * 0.92 / 0.08))


@pytest.mark.parametrize(
    ("odds", "severity"),
    [(2.0, "critical"), (1.99, "warning"), (0.5, "critical"), (0.51, "warning"), (0.0, "critical")],
)
def test_severity_goes_by_the_odds_ratio_either_way(odds: float, severity: str) -> None:
    assert run([shifted(effect=odds)]).alert.severity == severity


def test_without_an_odds_ratio_it_is_a_warning() -> None:
    assert run([shifted(effect=None)]).alert.severity is Severity.WARNING


def test_an_infinite_odds_ratio_is_critical_though_it_is_not_kept() -> None:
    alert = run([shifted(effect=float("inf"))]).alert
    assert (alert.severity, alert.effect) == (Severity.CRITICAL, None)


def test_a_failing_lf_is_a_critical_fault_however_small_the_shift() -> None:
    alert = run([shifted(0.02, key=ERRORS, expected=0.019, effect=1.05)]).alert
    assert (alert.kind, alert.severity) == (AlertKind.FAULT, Severity.CRITICAL)


def test_a_finding_over_many_windows_is_no_drift_before_it_has_lasted() -> None:
    assert run([shifted(scale=64)]).alert.kind is AlertKind.SPIKE
    assert run([shifted(scale=64)] * 7).alert.kind is AlertKind.SPIKE
    assert run([shifted(scale=64)] * 8).alert.kind is AlertKind.DRIFT


def test_a_series_already_alerted_does_not_open_a_second_alert() -> None:
    assert len(run([shifted(), shifted(), nothing(), shifted()]).alerts) == 1


def test_a_series_that_shifts_again_long_after_its_resolve_is_a_new_alert() -> None:
    history = run([shifted(), *[quiet()] * 4, *[nothing()] * 64, shifted()])
    first, second = sorted(history.alerts.values(), key=lambda alert: alert.opened_window_ms)
    assert (first.state, second.state) == (AlertState.RESOLVED, AlertState.FIRING)
    assert first.fingerprint == second.fingerprint
    assert first.id != second.id


def test_a_finding_of_another_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"coverage\(check_out\) is for window"):
        advance([], [shifted(window=1)], Rule(), context(0))


def test_two_findings_of_one_series_are_refused() -> None:
    with pytest.raises(ValueError, match="two findings of blind_spot"):
        advance([], [quiet(key=BLIND_SPOT), quiet(key=BLIND_SPOT)], Rule(), context())
