"""A series that is shifted to the other side of its baseline is shifted still."""

import pytest

from tests.alerts.builders import quiet, run, shifted
from tidegauge_alerts import AlertState, Rule, notify_worthy
from tidegauge_alerts.lifecycle.recovery import log_odds_shift

DOWN, UP = shifted(0.02, effect=0.6), shifted(0.3, effect=1.6)


def test_it_sustains_the_alert_and_is_recorded() -> None:
    history = run([DOWN, UP])
    assert history.alert.state is AlertState.FIRING
    assert history.chain[-1] == ("firing", "firing", "reversed")
    assert (history.alert.streak, history.alert.observed) == (2, 0.3)


def test_recovery_is_then_measured_from_the_new_side() -> None:
    assert run([DOWN, UP]).alert.shift == log_odds_shift(UP)
    assert run([DOWN, DOWN, UP, DOWN]).alert.shift == log_odds_shift(DOWN)


def test_further_on_the_same_side_the_onset_stays_the_measure() -> None:
    assert run([DOWN, shifted(0.004)]).alert.shift == log_odds_shift(DOWN)


def test_evidence_against_the_old_side_is_dropped() -> None:
    history = run([DOWN, quiet(), quiet(), UP])
    scores = [step.alerts[0].resolve_score for step in history.steps]
    assert scores == pytest.approx([0, 2, 4, 0])


def test_it_resolves_from_there_as_from_any_shift() -> None:
    assert run([DOWN, UP, *[quiet()] * 3]).alert.state is AlertState.FIRING
    assert run([DOWN, UP, *[quiet()] * 4]).alert.state is AlertState.RESOLVED


def test_a_series_that_swings_does_not_page_at_every_swing() -> None:
    history = run([DOWN, UP] * 3)
    assert history.reasons.count("reversed") == 5
    assert sum(notify_worthy(transition) for transition in history.transitions) == 1


def test_graver_weighs_more_than_reversed() -> None:
    assert run([DOWN, shifted(0.3, effect=5.0)]).reasons[-1] == "escalated"


def test_while_pending_it_confirms_as_any_shift_does() -> None:
    history = run([DOWN, UP], Rule(for_windows=2))
    assert history.reasons == ["shifted", "confirmed"]
    assert history.alert.shift == log_odds_shift(UP)
