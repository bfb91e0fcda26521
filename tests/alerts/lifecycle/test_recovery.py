"""When a firing alert resolves: quiet windows, and evidence for the baseline."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.builders import (
    HOUR_MS,
    NOON_MS,
    finding,
    nothing,
    quiet,
    run,
    shifted,
)
from tests.alerts.strategies import findings
from tidegauge_alerts import AlertState, Rule
from tidegauge_alerts.lifecycle.recovery import log_odds_shift, recovery_step
from tidegauge_probes.findings import Finding, Verdict

CLIP = (-4.0, 2.0)


def off(rate: float, expected: float = 0.08) -> float:
    """Return the log odds by which *rate* is off *expected*."""
    return math.log(rate / (1 - rate)) - math.log(expected / (1 - expected))


def test_the_worked_example_of_the_documentation_is_true() -> None:
    rates = [0.004, 0.004, None, 0.079, 0.083, 0.080, 0.078]
    windows = [
        nothing() if rate is None else shifted(rate) if rate < 0.01 else quiet(rate)
        for rate in rates
    ]
    history = run(windows)
    alerts = [step.alerts[0] for step in history.steps]
    assert alerts[0].shift == pytest.approx(off(0.0045), abs=0.01)
    assert [alert.quiet for alert in alerts] == [0, 0, 0, 1, 2, 3, 4]
    assert [alert.resolve_score for alert in alerts] == [0, 0, 0, 2, 4, 6, 8]
    assert [alert.state for alert in alerts] == ["firing"] * 6 + ["resolved"]
    assert history.reasons == ["shifted", "confirmed", "recovered"]


def test_three_quiet_windows_are_not_enough_without_evidence() -> None:
    assert run([shifted(), *[quiet()] * 3]).alert.state is AlertState.FIRING
    assert run([shifted(), *[quiet()] * 4]).alert.state is AlertState.RESOLVED


def test_evidence_is_not_enough_without_three_quiet_windows() -> None:
    easy = Rule(resolve_nats=0.5)
    assert run([shifted(), *[quiet()] * 2], easy).alert.state is AlertState.FIRING
    assert run([shifted(), *[quiet()] * 3], easy).alert.state is AlertState.RESOLVED


def test_quiet_windows_count_only_in_a_row() -> None:
    easy = Rule(resolve_nats=0.5)
    broken = [quiet(), quiet(), shifted(), quiet(), quiet()]
    assert run([shifted(), *broken], easy).alert.quiet == 2
    assert run([shifted(), *broken], easy).alert.state is AlertState.FIRING


def test_windows_that_lie_between_do_not_resolve() -> None:
    """Half-way back (0.4 % → 2 % of 8 %): no longer shifted, and no evidence of recovery."""
    lingering = run([shifted(0.004), *[quiet(0.02)] * 30])
    assert lingering.alert.state is AlertState.FIRING
    assert lingering.alert.quiet == 30


def test_half_of_the_traffic_after_none_is_no_recovery() -> None:
    """It is far nearer to all than to none, and each window is off by itself."""
    outage = shifted(0.0, effect=0.006)
    halved = [shifted(0.04, effect=0.48, scale=4, share=0.01, due=0.08)] * 12
    after = run([outage, *halved])
    assert (after.alert.state, after.alert.reopened) == (AlertState.FIRING, 0)
    assert run([outage, *halved, *[quiet(0.079)] * 8]).alert.state is AlertState.RESOLVED


def test_no_single_window_counts_for_more_than_the_clip() -> None:
    huge = {"n_eff": 1e9}
    assert recovery_step(quiet(0.08, **huge), off(0.004), CLIP) == 2.0
    assert recovery_step(shifted(0.004, **huge), off(0.004), CLIP) == -4.0


def test_a_shifted_window_takes_evidence_away() -> None:
    scores = [
        s.alerts[0].resolve_score for s in run([shifted(), quiet(), quiet(), shifted()]).steps
    ]
    assert scores == [0, 2, 4, 0]


def test_the_score_never_falls_below_zero() -> None:
    """Else a long outage would have to be paid back before a recovery is believed."""
    long_outage = run([*[shifted()] * 50, *[quiet()] * 4])
    assert long_outage.alert.state is AlertState.RESOLVED


def test_the_step_is_the_log_likelihood_ratio() -> None:
    p0, p1, x_eff, n_eff = 0.08, 0.06, 38.0, 500.0
    expected = x_eff * math.log(p0 / p1) + (n_eff - x_eff) * math.log((1 - p0) / (1 - p1))
    given = quiet(0.076)
    assert recovery_step(given, off(p1), CLIP) == pytest.approx(expected)
    assert 0 < expected < 2


def test_the_step_scales_with_the_effective_sample_not_with_the_records() -> None:
    small, large = (
        recovery_step(quiet(0.076, n_eff=n), off(0.06), (-99, 99)) for n in (50.0, 500.0)
    )
    assert large == pytest.approx(10 * small)


def test_without_an_effective_sample_the_records_count() -> None:
    assert recovery_step(quiet(0.076, n_eff=None), off(0.06), (-99, 99)) == pytest.approx(
        recovery_step(quiet(0.076, n_eff=1000.0), off(0.06), (-99, 99))
    )


def test_where_nothing_was_counted_there_is_no_evidence() -> None:
    assert recovery_step(nothing(), off(0.004), CLIP) == 0.0
    assert recovery_step(quiet(expected=0.08, n_eff=0.0), off(0.004), CLIP) == 0.0


@pytest.mark.parametrize("p0", [0.0, 1.0])
@pytest.mark.parametrize("shift", [-1e3, -30.0, 0.0, 30.0, 1e3])
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_rates_of_zero_and_one_are_no_trouble(p0: float, shift: float, rate: float) -> None:
    given = Finding(shifted().key, 0, round(rate * 10), 10, Verdict.OK, expected=p0, n_eff=10.0)
    step = recovery_step(given, shift, CLIP)
    assert -4.0 <= step <= 2.0
    if not shift:
        assert step == pytest.approx(0.0, abs=0.01)


@given(findings(), st.floats(-800, 800))
def test_a_step_is_always_a_number_within_the_clip(given: Finding, shift: float) -> None:
    assert -4.0 <= recovery_step(given, shift, CLIP) <= 2.0


@given(findings())
def test_a_shift_is_always_finite(given: Finding) -> None:
    assert math.isfinite(log_odds_shift(given))


def test_the_shift_follows_the_season() -> None:
    """At night 5 % are expected and 9 % seen; by day, of 20 %, the same shift makes 32 %."""
    night, day = {"expected": 0.05, "n_eff": 900.0}, {"expected": 0.20, "n_eff": 900.0}
    onset = log_odds_shift(shifted(0.09, **night))
    assert recovery_step(quiet(0.32, **day), onset, CLIP) == -4.0
    assert recovery_step(quiet(0.21, **day), onset, CLIP) == 2.0


def test_a_resolved_alert_says_when_and_keeps_the_figures_of_its_shift() -> None:
    history = run([shifted(0.004), *[quiet(0.079)] * 4])
    assert history.alert.resolved_window_ms == NOON_MS + 4 * HOUR_MS
    assert history.alert.observed == 0.004
    assert history.transitions[-1].observed == 0.079


def test_a_learning_window_is_quiet() -> None:
    """It was compared, if only for gross shifts."""
    learning = [finding(Verdict.LEARNING)] * 4
    assert run([shifted(), *learning]).alert.state is AlertState.RESOLVED
