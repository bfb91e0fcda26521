"""Alerts end where other LFs, or another baseline, begin; what persists opens again."""

import pytest

from tests.alerts.builders import (
    BLIND_SPOT,
    COVERAGE,
    HOUR_MS,
    NOON_MS,
    OTHER,
    context,
    fired,
    nothing,
    quiet,
    run,
    shifted,
)
from tidegauge_alerts import AlertState, Rule, advance, notify_worthy
from tidegauge_alerts.messages.message import messages_of
from tidegauge_probes.findings import Finding

ENDED = ("firing", "resolved", "redeployed")


@pytest.mark.parametrize("found", [[], [quiet()], [nothing()]])
def test_an_open_alert_ends_in_the_first_window(found: list[Finding]) -> None:
    history = run([shifted(), found], redeployed=1)
    assert history.chain[-1] == ENDED
    assert history.alert.resolved_window_ms == NOON_MS + HOUR_MS
    assert history.alert.probe_set == "probes-1", "it says what it was found with"
    last = history.transitions[-1]
    assert (last.x, last.n) == (4, 1000), "of the last shifted window"
    assert notify_worthy(last)


def test_what_persists_opens_again_in_the_same_window() -> None:
    history = run([shifted(), shifted(0.02), shifted(0.02)], redeployed=1)
    assert set(history.chain[2:]) == {
        ENDED,
        (None, "pending", "shifted"),
        ("pending", "firing", "confirmed"),
    }
    old, new = sorted(history.alerts.values(), key=lambda alert: alert.opened_window_ms)
    assert (old.state, new.state) == (AlertState.RESOLVED, AlertState.FIRING)
    assert (new.probe_set, new.baseline, new.streak) == ("probes-2", "base-2", 2)


def test_a_pending_alert_ends_in_silence() -> None:
    history = run([shifted(), shifted()], Rule(for_windows=2), redeployed=1)
    ended = [t for t in history.transitions if t.reason == "redeployed"]
    assert [t.from_state for t in ended] == ["pending"]
    assert not any(map(notify_worthy, history.transitions))


def test_another_baseline_alone_ends_it_too() -> None:
    before = fired(shifted()).alerts
    at = context(1, baseline="base-2")
    assert [t.reason for t in advance(before, [], Rule(), at).transitions] == ["redeployed"]
    assert advance(before, [], Rule(), context(1)).transitions == ()


def test_evaluating_the_window_twice_changes_nothing() -> None:
    before = fired(shifted(), shifted(key=BLIND_SPOT)).alerts
    found = [shifted(0.02, window=1)]
    once = advance(before, found, Rule(), context(1, **OTHER))
    again = advance(once.alerts, found, Rule(), context(1, **OTHER))
    assert sum(t.reason == "redeployed" for t in once.transitions) == 2
    assert again.transitions == ()


def test_the_message_says_why() -> None:
    before = fired(shifted(key=COVERAGE)).alerts
    at = context(1, **OTHER)
    after = advance(before, [], Rule(), at)
    (message,) = messages_of(after, Rule(), at)
    assert message.body["status"] == "resolved"
    assert message.body["headline"] == (
        "Coverage of LF 'check_out' starts over: other LFs or another baseline were deployed"
    )
    assert message.body["alerts"][0]["reason"] == "redeployed"
    assert message.body["lineage"]["probe_set"] == "probes-2"
