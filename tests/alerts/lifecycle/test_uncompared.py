"""Windows that say nothing about a series leave its alert as it was."""

from dataclasses import replace

import pytest

from tests.alerts.builders import NOON_MS, context, finding, quiet, run, shifted
from tidegauge_alerts import Rule, advance
from tidegauge_probes.findings import Finding, Verdict

SILENT = [Verdict.NO_DATA, Verdict.LOW_VOLUME, Verdict.BASELINE]


@pytest.mark.parametrize("verdict", SILENT)
def test_neither_resolves_nor_sustains(verdict: Verdict) -> None:
    before = run([shifted(), quiet()]).alert
    after = run([shifted(), quiet(), *[finding(verdict)] * 20]).alert
    assert after == before


def test_no_finding_at_all_is_the_same() -> None:
    absent: list[list[Finding]] = [[]] * 20
    assert run([shifted(), quiet(), *absent]).alert == run([shifted(), quiet()]).alert


@pytest.mark.parametrize("verdict", SILENT)
def test_quiet_windows_may_have_gaps(verdict: Verdict) -> None:
    """Recovery is judged on the windows that can be judged."""
    gap = finding(verdict)
    history = run([shifted(), quiet(), gap, quiet(), gap, quiet(), gap, quiet()])
    assert history.reasons[-1] == "recovered"


def test_the_last_window_is_the_last_one_compared() -> None:
    assert run([shifted(), finding(Verdict.NO_DATA)]).alert.last_window_ms == NOON_MS


def test_a_window_seen_before_does_not_count_again() -> None:
    """Late data may have an old window evaluated again."""
    alert = run([shifted(), quiet(), quiet()]).alert
    for again in (0, 1, 2):
        for found in (shifted(window=again), quiet(window=again)):
            step = advance([alert], [found], Rule(), context(again))
            assert (step.alerts, step.transitions) == ((alert,), ())


def test_a_resolved_alert_is_not_touched() -> None:
    resolved = run([shifted(), *[quiet()] * 4]).alert
    step = advance(
        [resolved],
        [replace(quiet(), window_start_ms=context(9).window_start_ms)],
        Rule(),
        context(9),
    )
    assert step.alerts == ()
