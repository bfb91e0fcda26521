import math

import pytest

from tests.alerts.builders import fired, shifted
from tidegauge_alerts import AlertKind, AlertState, Rule, Severity, TransitionReason


def test_kinds_have_the_words_of_messages() -> None:
    assert {kind: kind.text for kind in AlertKind} == {
        "spike": "suspicious activity",
        "drift": "time to update",
        "fault": "probe broken",
        "rule": "rule broken",
    }


def test_states_and_severities_are_those_of_the_field() -> None:
    assert list(AlertState) == ["pending", "firing", "settled", "resolved"]
    assert list(Severity) == ["warning", "critical"]


def test_every_word_that_is_stored_fits_its_column() -> None:
    for words in (AlertState, AlertKind, Severity):
        assert max(len(word) for word in words) <= 10
    assert len(TransitionReason) == 11


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"for_windows": 0}, "for_windows"),
        ({"quiet_windows": 0}, "quiet_windows"),
        ({"drift_after": 0}, "drift_after"),
        ({"step_clip": (-4.0, 0.0)}, "from below to above 0"),
        ({"step_clip": (0.0, 2.0)}, "step_clip"),
        ({"resolve_nats": -0.1}, "resolve_nats"),
        ({"resolve_nats": math.inf}, "resolve_nats"),
        ({"resolve_nats": math.nan}, "resolve_nats"),
        ({"critical_odds": 1.0}, "critical_odds"),
        ({"critical_odds": math.nan}, "critical_odds"),
        ({"critical_share": -0.1}, "critical_share"),
        ({"critical_share": math.nan}, "critical_share"),
        ({"memory_windows": -1}, "memory_windows"),
        ({"settle_windows": 1}, "settle_windows"),
    ],
)
def test_a_rule_that_could_not_work_is_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Rule(**wrong)  # type: ignore[arg-type]


def test_the_default_rule_is_the_documented_one() -> None:
    rule = Rule()
    assert (rule.for_windows, rule.quiet_windows, rule.resolve_nats) == (1, 3, 6.9)
    assert (rule.step_clip, rule.drift_after, rule.critical_odds) == ((-4.0, 2.0), 8, 2.0)
    assert (rule.receivers, rule.budget) == ((), 0.5)
    assert (rule.critical_share, rule.memory_windows, rule.settle_windows) == (0.05, 64, 64)


def test_figures_that_are_not_finite_are_not_kept() -> None:
    strange = shifted(effect=math.inf, p_value=math.nan, rank=-math.inf)
    (alert,) = fired(strange).alerts
    assert (alert.effect, alert.p_value, alert.rank) == (None, None, 0.0)
    assert (alert.observed, alert.expected) == (0.004, 0.08)


def test_values_cannot_be_changed() -> None:
    (alert,) = fired(shifted()).alerts
    with pytest.raises(AttributeError):
        alert.state = AlertState.RESOLVED  # type: ignore[misc]
    assert not hasattr(alert, "__dict__")
