"""A rule that asks for more than one shifted window."""

from tests.alerts.builders import HOUR_MS, NOON_MS, nothing, quiet, run, shifted
from tidegauge_alerts import AlertState, Rule, Severity

THREE = Rule(for_windows=3)


def test_it_waits_for_as_many_shifted_windows_as_the_rule_asks() -> None:
    assert run([shifted()] * 2, THREE).alert.state is AlertState.PENDING
    fires = run([shifted()] * 3, THREE)
    assert fires.alert.state is AlertState.FIRING
    assert fires.chain == [(None, "pending", "shifted"), ("pending", "firing", "confirmed")]


def test_it_fires_in_the_window_that_confirms_it() -> None:
    alert = run([shifted()] * 3, THREE).alert
    assert alert.opened_window_ms == NOON_MS
    assert alert.fired_window_ms == NOON_MS + 2 * HOUR_MS


def test_one_quiet_window_clears_it_without_ever_firing() -> None:
    cleared = run([shifted(), shifted(), quiet()], THREE)
    assert cleared.chain == [(None, "pending", "shifted"), ("pending", "resolved", "cleared")]
    assert cleared.alert.fired_window_ms is None
    assert cleared.alert.resolved_window_ms == NOON_MS + 2 * HOUR_MS


def test_a_window_without_data_neither_clears_nor_confirms_it() -> None:
    kept = run([shifted(), nothing(), shifted(), nothing()], THREE)
    assert (kept.alert.state, kept.alert.streak) == (AlertState.PENDING, 2)
    assert run([shifted(), nothing(), shifted(), shifted()], THREE).alert.state == "firing"


def test_while_it_is_pending_it_may_get_worse_without_a_transition() -> None:
    worse = run([shifted(effect=1.5), shifted(effect=5.0)], THREE)
    assert worse.alert.severity is Severity.CRITICAL
    assert worse.reasons == ["shifted"]


def test_it_starts_over_after_it_was_cleared() -> None:
    again = run([shifted(), shifted(), quiet(), shifted(), shifted()], THREE)
    assert [alert.state for alert in again.alerts.values()] == ["resolved", "pending"]
