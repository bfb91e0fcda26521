"""A firing alert may become graver, never lighter."""

from tests.alerts.builders import ERRORS, HOUR_MS, NOON_MS, nothing, quiet, run, shifted
from tidegauge_alerts import AlertKind, Severity


def test_it_becomes_critical_once() -> None:
    history = run([shifted(effect=1.5), shifted(effect=3.0), shifted(effect=4.0)])
    assert history.reasons == ["shifted", "confirmed", "escalated"]
    assert history.transitions[-1].severity is Severity.CRITICAL
    assert history.transitions[-1].window_start_ms == NOON_MS + HOUR_MS


def test_it_does_not_flap_down() -> None:
    history = run([shifted(effect=odds) for odds in (3.0, 1.5, 3.0, 1.5)])
    assert history.reasons == ["shifted", "confirmed"]
    assert history.alert.severity is Severity.CRITICAL
    assert history.alert.effect == 1.5


def test_an_escalation_stays_in_the_firing_state() -> None:
    assert run([shifted(effect=1.5), shifted(effect=3.0)]).chain[-1] == (
        "firing",
        "firing",
        "escalated",
    )


def test_a_spike_that_lasts_becomes_a_drift() -> None:
    before, after = run([shifted()] * 7), run([shifted()] * 8)
    assert before.alert.kind is AlertKind.SPIKE
    assert after.alert.kind is AlertKind.DRIFT
    assert after.reasons == ["shifted", "confirmed", "escalated"]
    assert after.transitions[-1].kind is AlertKind.DRIFT


def test_only_shifted_windows_make_a_drift() -> None:
    lingering = run([shifted(), *[quiet(0.02)] * 20, *[nothing()] * 20])
    assert lingering.alert.kind is AlertKind.SPIKE
    assert lingering.alert.streak == 1


def test_shifted_windows_make_a_drift_even_with_gaps() -> None:
    history = run([shifted(), quiet(0.02)] * 8)
    assert history.alert.kind is AlertKind.DRIFT
    assert history.alert.streak == 8


def test_a_drift_stays_a_drift() -> None:
    history = run([*[shifted()] * 8, *[quiet(0.02)] * 40, shifted(scale=1)])
    assert history.alert.kind is AlertKind.DRIFT
    assert history.reasons == ["shifted", "confirmed", "escalated"]


def test_shifted_windows_that_are_few_among_many_make_no_drift() -> None:
    history = run([shifted(), *[quiet(0.02)] * 3] * 12)
    assert (history.alert.streak, history.alert.seen) == (12, 48)
    assert history.alert.kind is AlertKind.SPIKE


def test_a_long_sum_whose_last_window_is_back_makes_no_drift() -> None:
    """It is shifted only because of the windows before it."""
    history = run([shifted(), *[shifted(0.08, scale=32, effect=0.3)] * 3])
    assert (history.alert.streak, history.alert.kind) == (1, AlertKind.SPIKE)


def test_graver_in_both_ways_is_one_transition() -> None:
    history = run([*[shifted(effect=1.5)] * 7, shifted(effect=3.0)])
    last = history.transitions[-1]
    assert (last.reason, last.kind, last.severity) == ("escalated", "drift", "critical")
    assert len(history.transitions) == 3


def test_the_figures_follow_the_latest_shifted_window() -> None:
    history = run([shifted(0.02), shifted(0.004), quiet(0.02)])
    assert (history.alert.observed, history.alert.x) == (0.004, 4)


def test_a_fault_never_becomes_a_drift() -> None:
    history = run([shifted(0.5, key=ERRORS)] * 12)
    assert history.alert.kind is AlertKind.FAULT
    assert history.reasons == ["shifted", "confirmed"]
