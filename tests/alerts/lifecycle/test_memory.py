"""A shift that comes back soon is the same episode, and each time it is harder to end."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alerts.builders import (
    HOUR_MS,
    NOON_MS,
    context,
    nothing,
    quiet,
    run,
    shifted,
)
from tests.alerts.lifecycle.test_lifecycle_properties import thorough, windows
from tests.alerts.strategies import sane
from tidegauge_alerts import (
    Alert,
    AlertState,
    Rule,
    Severity,
    advance,
    notify_worthy,
    parse_rule,
)
from tidegauge_probes.findings import Finding

CALM = [quiet()] * 4
UP, DOWN = shifted(0.3, effect=4.0), shifted(0.004)
MILD = shifted(0.05, effect=0.6)


def again_after(gap: int, finding: Finding = DOWN) -> list[Alert]:
    """Shift down, resolve in the fifth window, and shift again *gap* windows later."""
    return list(run([DOWN, *CALM, *[nothing()] * (gap - 1), finding]).alerts.values())


@pytest.mark.parametrize(("gap", "alerts"), [(1, 1), (64, 1), (65, 2)])
def test_it_reopens_within_64_windows(gap: int, alerts: int) -> None:
    assert len(again_after(gap)) == alerts


def test_it_keeps_its_identity_and_says_how_often_it_came_back() -> None:
    (alert,) = again_after(10)
    assert alert.id.endswith(f"-{NOON_MS}")
    assert (alert.state, alert.reopened) == (AlertState.FIRING, 1)
    assert alert.opened_window_ms == alert.fired_window_ms == NOON_MS
    assert alert.resolved_window_ms is None
    assert alert.restarted_window_ms == NOON_MS + 4 * HOUR_MS, "the scan restarted after it"
    assert alert.reopened_window_ms == NOON_MS + 14 * HOUR_MS
    assert (alert.streak, alert.seen) == (2, 15)


def test_the_other_side_is_another_episode() -> None:
    down, up = again_after(10, UP)
    assert (down.state, up.state) == (AlertState.RESOLVED, AlertState.FIRING)


def test_another_baseline_is_another_episode() -> None:
    history = run([DOWN, *CALM, DOWN], redeployed=5)
    assert [alert.reopened for alert in history.alerts.values()] == [0, 0]


def test_what_never_fired_is_not_remembered() -> None:
    patient = Rule(for_windows=2)
    assert len(run([DOWN, quiet(), DOWN], patient).alerts) == 2


def test_a_rule_of_ones_own_has_no_memory() -> None:
    rule = parse_rule("coverage of check_out below 1 %").rule
    assert len(run([DOWN, quiet(), DOWN, quiet()], rule).alerts) == 2


def test_nobody_hears_of_a_reopening_nor_of_its_end() -> None:
    history = run([DOWN, *CALM, DOWN, *[quiet()] * 12])
    assert history.reasons == ["shifted", "confirmed", "recovered", "reopened", "recovered"]
    assert [notify_worthy(t) for t in history.transitions] == [False, True, True, False, False]


def test_a_graver_reopening_is_told_and_so_is_its_end() -> None:
    history = run([MILD, *[quiet()] * 8, DOWN, *[quiet()] * 12])
    assert [t.reason for t in history.transitions if notify_worthy(t)] == [
        "confirmed",
        "recovered",
        "reopened",
        "recovered",
    ]
    assert history.alert.severity is Severity.CRITICAL


def test_one_that_becomes_graver_after_a_silent_reopening_is_told() -> None:
    history = run([MILD, *[quiet()] * 8, MILD, DOWN])
    assert [t.reason for t in history.transitions if notify_worthy(t)][-1] == "escalated"
    assert history.alert.told


def test_each_reopening_doubles_what_a_resolve_takes() -> None:
    """Four quiet windows give 8 nats: first 6.9 are asked for, then 13.8, 27.6 … 110.4."""
    found: list[Finding] = []
    needed = []
    for _ in range(6):
        found.append(DOWN)
        waited = 0
        while run(found).alert.state is not AlertState.RESOLVED:
            found.append(quiet())
            waited += 1
        needed.append(waited)
    assert needed == [4, 7, 14, 28, 56, 56]


def test_a_few_quiet_windows_do_not_outweigh_the_many_shifted_ones() -> None:
    """Since it re-opened, 20 shifted windows: 12 quiet ones would do but for their sum."""
    twice = [shifted(0.2), *CALM, *[shifted(0.2)] * 20]
    assert run([*twice, *[quiet()] * 12]).alert.state is AlertState.FIRING
    assert run([*twice, *[quiet()] * 60]).alert.state is AlertState.RESOLVED


def test_what_recovers_after_a_long_shift_need_not_outweigh_it() -> None:
    """32 shifted windows fill the first sum; the second holds the quiet ones that follow."""
    twice = [shifted(0.2), *CALM, *[shifted(0.2)] * 32]
    assert run([*twice, *[quiet()] * 6]).alert.state is AlertState.FIRING
    assert run([*twice, *[quiet()] * 7]).alert.state is AlertState.RESOLVED


def test_the_latest_of_several_is_the_one_that_reopens() -> None:
    first = run([DOWN, *CALM]).alert
    later = replace(first, id="later", resolved_window_ms=NOON_MS + 9 * HOUR_MS)
    step = advance(
        [later, first], [replace(DOWN, window_start_ms=NOON_MS + 20 * HOUR_MS)], Rule(), context(20)
    )
    assert [alert.id for alert in step.alerts] == ["later"]


@thorough
@given(windows())
def test_receivers_hear_that_it_fires_before_they_hear_that_it_is_over(
    given_windows: list[list[Finding]],
) -> None:
    heard: dict[str, bool] = {}
    history = run(given_windows * 2)
    for transition in history.transitions:
        if not notify_worthy(transition):
            continue
        over = transition.to_state is AlertState.RESOLVED
        incident = history.alerts[transition.alert_id].incident
        assert not over or heard[incident]
        heard[incident] = not over


@thorough
@given(windows())
def test_an_episode_is_told_when_it_first_fires_and_afterwards_only_if_graver(
    given_windows: list[list[Finding]],
) -> None:
    gravest: dict[str, tuple[str, str]] = {}
    for transition in run(given_windows * 2).transitions:
        grade, before = (transition.kind, transition.severity), gravest.get(transition.alert_id)
        if transition.reason == "confirmed":
            assert before is None
        if transition.reason == "reopened" and notify_worthy(transition):
            assert grade != before
        if transition.reason != "shifted":
            gravest[transition.alert_id] = grade


@settings(thorough, max_examples=20)
@given(st.lists(sane(), min_size=1, max_size=60))
def test_an_alert_can_always_end(found: list[Finding]) -> None:
    """Whatever came before, traffic like the baseline's ends it: here within 120 windows."""
    history = run([*found, *[quiet(0.1, expected=0.1)] * 120])
    assert all(alert.state is AlertState.RESOLVED for alert in history.alerts.values())


def test_it_reopens_once_however_often_the_window_is_evaluated() -> None:
    before = run([DOWN, *CALM]).alert
    found = [replace(DOWN, window_start_ms=NOON_MS + 9 * HOUR_MS)]
    once = advance([before], found, Rule(), context(9))
    again = advance(once.alerts, found, Rule(), context(9))
    assert (again.alerts, again.transitions) == (once.alerts, ())
    assert once.alerts[0].reopened == 1
