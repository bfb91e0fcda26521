"""Who hears of which transition."""

import pytest

from tests.alerts.builders import NOON_MS, quiet, run, shifted
from tidegauge_alerts import AlertState, Rule, TransitionReason, notify_worthy, withdraw


def told(windows: list, rule: Rule | None = None) -> list[str]:  # type: ignore[type-arg]
    made = run(windows, rule or Rule()).transitions
    return [t.reason for t in made if notify_worthy(t)]


def test_firing_and_recovery_are_told() -> None:
    assert told([shifted(), *[quiet()] * 4]) == ["confirmed", "recovered"]


def test_an_escalation_is_told() -> None:
    assert told([shifted(effect=1.5), shifted(effect=3.0)]) == ["confirmed", "escalated"]


def test_a_pending_alert_is_not_told() -> None:
    assert told([shifted()], Rule(for_windows=2)) == []


def test_an_alert_that_never_fired_is_not_told_when_it_clears() -> None:
    assert told([shifted(), quiet()], Rule(for_windows=2)) == []


def test_a_reversal_is_not_told() -> None:
    assert told([shifted(0.02, effect=1.5), shifted(0.3, effect=1.5)]) == ["confirmed"]


@pytest.mark.parametrize("reason", TransitionReason)
def test_every_reason_has_been_decided_on(reason: TransitionReason) -> None:
    history = run([shifted(effect=1.5), shifted(effect=3.0), shifted(0.3), *[quiet()] * 4])
    history.transitions += run([shifted(), quiet()], Rule(for_windows=2)).transitions
    history.transitions += run([shifted(), shifted()], redeployed=1).transitions
    history.transitions += run([shifted(), *[quiet()] * 4, shifted()]).transitions
    history.transitions += run([*[shifted(0.04)] * 64, shifted(0.001)]).transitions
    firing = run([shifted()]).alert
    history.transitions += withdraw([firing], TransitionReason.WITHDRAWN, NOON_MS).transitions
    decided = {t.reason: False for t in history.transitions}
    for transition in history.transitions:  # an escalation to a drift is silent, to critical not
        decided[transition.reason] |= notify_worthy(transition)
    heard = {TransitionReason.CONFIRMED, TransitionReason.ESCALATED, TransitionReason.RECOVERED}
    heard |= {TransitionReason.REDEPLOYED, TransitionReason.WITHDRAWN}
    heard |= {TransitionReason.SETTLED, TransitionReason.MOVED}
    assert decided[reason] is (reason in heard)


def test_a_firing_state_is_what_is_told_of_not_the_word() -> None:
    for transition in run([shifted(), *[quiet()] * 4]).transitions:
        if notify_worthy(transition):
            assert transition.to_state is not AlertState.PENDING
