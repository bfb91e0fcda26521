"""A shift that stays at one level settles there, and is quiet until it leaves it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.builders import ERRORS, HOUR_MS, NOON_MS, Run, finding, quiet, run, shifted
from tidegauge_alerts import AlertKind, AlertState, Rule, Severity, notify_worthy, parse_rule
from tidegauge_alerts.lifecycle.level import NOTHING, differ, is_off, log_odds, merged, plus
from tidegauge_alerts.model import Level
from tidegauge_probes.findings import Finding, Verdict

NEW = shifted(0.2)
"""20 % instead of 8 %."""


def told(history: Run) -> list[str]:
    return [t.reason for t in history.transitions if notify_worthy(t)]


def test_it_settles_after_64_windows_at_one_level() -> None:
    before, after = run([NEW] * 63), run([NEW] * 64)
    assert before.alert.state is AlertState.FIRING
    assert (after.alert.state, after.alert.kind) == (AlertState.SETTLED, AlertKind.DRIFT)
    level = after.alert.settled
    assert level is not None
    assert (level.windows, level.from_ms) == (64, NOON_MS)
    assert level.seen / level.size == pytest.approx(0.2)
    assert level.due / level.size == pytest.approx(0.08)


def test_it_is_told_once_and_then_quiet() -> None:
    history = run([NEW] * 300)
    assert told(history) == ["confirmed", "settled"]
    assert history.alert.state is AlertState.SETTLED


def test_what_goes_on_changing_does_not_settle() -> None:
    rising = [shifted(0.1 + 0.003 * w) for w in range(200)]
    assert run(rising).alert.state is AlertState.FIRING


def test_what_rose_and_then_stays_settles_there() -> None:
    rising = [shifted(0.1 + 0.01 * w) for w in range(20)]
    settled = run([*rising, *[shifted(0.3)] * 96]).alert.settled
    assert settled is not None
    assert settled.seen / settled.size == pytest.approx(0.3)
    assert settled.from_ms >= NOON_MS + 20 * HOUR_MS


def test_half_way_back_is_a_level_too() -> None:
    """No window is called shifted any more, and none speaks for the baseline."""
    lingering = run([shifted(0.004), *[quiet(0.02)] * 100])
    assert lingering.alert.state is AlertState.SETTLED


def test_at_the_baseline_nothing_settles() -> None:
    back = [replace(quiet(), verdict=Verdict.SHIFTED)] * 200
    assert run([shifted(), *back]).alert.settled is None


def test_a_broken_lf_is_no_new_normal() -> None:
    assert run([shifted(0.5, key=ERRORS)] * 200).alert.state is AlertState.FIRING


def test_a_rule_of_ones_own_never_settles() -> None:
    rule = parse_rule("coverage of check_out above 10 %").rule
    assert run([NEW] * 200, rule).alert.state is AlertState.FIRING


def test_a_settled_alert_stays_as_grave_as_it_was() -> None:
    mild = shifted(0.11)
    history = run([*[mild] * 64, *[replace(mild, effect=9.0, scale=2, share=0.5)] * 20])
    assert history.alert.severity is Severity.WARNING
    assert told(history) == ["confirmed", "settled"]


@pytest.mark.parametrize("rate", [0.3, 0.01])
def test_it_fires_again_as_itself_when_it_leaves_the_level(rate: float) -> None:
    history = run([*[NEW] * 64, *[shifted(rate)] * 3])
    assert history.alert.id.endswith(f"-{NOON_MS}")
    assert (history.alert.state, history.alert.settled) == (AlertState.FIRING, None)
    assert told(history)[-1] == "moved"


def test_a_small_step_away_is_seen_in_the_sum_of_many_windows() -> None:
    history = run([*[NEW] * 64, *[shifted(0.235)] * 64])
    moved = [t for t in history.transitions if t.reason == "moved"]
    assert [t.window_start_ms > NOON_MS + 65 * HOUR_MS for t in moved] == [True]


def test_it_settles_again_at_the_next_level() -> None:
    history = run([*[NEW] * 64, *[shifted(0.3)] * 70])
    assert told(history)[-2:] == ["moved", "settled"]


def test_on_the_way_back_it_is_quiet_and_settles_in_silence() -> None:
    history = run([*[NEW] * 64, *[shifted(0.13)] * 100, *[shifted(0.2)] * 4])
    assert told(history) == ["confirmed", "settled", "moved"]


def test_back_at_the_baseline_it_resolves() -> None:
    history = run([*[NEW] * 64, *[quiet()] * 4])
    assert history.alert.state is AlertState.RESOLVED
    assert told(history)[-1] == "recovered"
    assert history.alert.settled is None


def test_settled_figures_say_what_is_now() -> None:
    assert run([*[NEW] * 64, shifted(0.19)]).alert.observed == 0.19


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1))
def test_a_sum_does_not_depend_on_how_it_is_split(rates: Sequence[float], expected: float) -> None:
    found = [finding(Verdict.OK, rate, window=w) for w, rate in enumerate(rates)]
    found = [replace(f, expected=expected) for f in found]
    whole = total(found)
    for cut in range(len(found)):
        parts = merged(total(found[:cut]), total(found[cut:]))
        assert (parts.windows, parts.from_ms) == (whole.windows, whole.from_ms)
        assert (parts.seen, parts.size, parts.due) == pytest.approx(
            (whole.seen, whole.size, whole.due)
        )


def total(found: Sequence[Finding]) -> Level:
    level = NOTHING
    for one in found:
        level = plus(level, one)
    return level


@given(st.floats(0, 1e9), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1))
def test_levels_of_any_size_can_be_compared(
    size: float, seen: float, due: float, other: float, share: float
) -> None:
    one, two = Level(1, size * seen, size, size * due), Level(1, other * share, other, other * due)
    assert differ(one, two) is differ(two, one)
    assert not differ(one, one)
    assert isinstance(is_off(one), bool)
    assert log_odds(one) == log_odds(one)


def test_noise_that_lasts_makes_sums_less_telling() -> None:
    """The same two blocks differ as the baseline's own blocks do, if its noise lasts for days."""
    one, other = (Level(32, share * 6_400, 6_400, 512) for share in (0.19, 0.23))
    assert differ(one, other)
    lasting = [replace(level, growth=20.0) for level in (one, other)]
    assert not differ(*lasting)
    single = replace(Level(1, 46, 200, 16), growth=20.0)
    assert is_off(single), "of one window nothing is to be added"
    assert total([replace(NEW, growth=20.0)] * 2).growth == 20.0


def test_a_level_that_wavers_as_the_baseline_does_settles() -> None:
    wavering = [shifted(0.18 if w < 32 else 0.24) for w in range(64)]
    assert run(wavering).alert.state is AlertState.FIRING
    lasting = [replace(one, growth=20.0) for one in wavering]
    assert run(lasting).alert.state is AlertState.SETTLED


def test_windows_without_data_are_in_no_sum() -> None:
    assert plus(NOTHING, replace(quiet(), n=0, x=0, n_eff=None)) == NOTHING
    assert plus(NOTHING, replace(quiet(), expected=None)) == NOTHING


def test_a_rule_may_ask_for_other_lengths() -> None:
    assert run([NEW] * 8, Rule(settle_windows=8)).alert.state is AlertState.SETTLED
    assert run([NEW] * 200, Rule(settle_windows=0)).alert.state is AlertState.FIRING
