"""Window lengths are compared by adding up the baseline's windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.probes import simulation
from tests.probes.drift.power.test_outlook import baseline_of
from tests.probes.drift.series.test_distinct import RATES, window
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import false_alarms
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.power.lengths import (
    LengthComparison,
    added,
    compare_lengths,
    without_segments,
)

HOUR_MS = simulation.HOUR_MS


def alpha(window_ms: int) -> float:
    return false_alarms.default(window_ms).per_window(window_ms)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_of(168, 300, (0.02, 0.1, 0.4))


@pytest.fixture(scope="module")
def compared(baseline: Baseline) -> LengthComparison:
    found = compare_lengths(baseline, alpha)
    assert found is not None
    return found


def test_windows_are_added_up_where_live_ones_would_begin(baseline: Baseline) -> None:
    late = dataclasses.replace(baseline, starts=baseline.starts + 2 * HOUR_MS)
    longer = added(late, 3 * HOUR_MS)
    assert longer.starts[:2].tolist() == [0, 3 * HOUR_MS]
    assert longer.n[0].tolist() == baseline.n[0].tolist()
    assert longer.n[1].tolist() == baseline.n[1:4].sum(axis=0).tolist()
    assert longer.x.sum() == baseline.x.sum()
    assert added(late, HOUR_MS) is late


def test_lengths_are_those_that_the_windows_add_up_to(compared: LengthComparison) -> None:
    hours = [one.window_ms // HOUR_MS for one in compared.lengths]
    assert hours == [1, 3, 6, 12, 24, 168]
    assert [one.windows for one in compared.lengths] == [168, 56, 28, 14, 7, 1]
    assert [one.learning for one in compared.lengths] == [False, False, True, True, True, True]


def test_shorter_windows_come_from_the_finest_and_the_own_ones_from_the_baseline(
    baseline: Baseline,
) -> None:
    own = added(baseline, 3 * HOUR_MS)
    found = compare_lengths(own, alpha, finest=baseline)
    assert found is not None
    assert [one.window_ms // HOUR_MS for one in found.lengths] == [1, 3, 6, 12, 24, 168]
    rates = {one.window_ms: one.false_rate for one in found.lengths}
    assert rates[own.window_ms] == own.forecast.per_window(alpha(own.window_ms))
    alone = compare_lengths(own, alpha)
    assert alone is not None
    assert [one.window_ms // HOUR_MS for one in alone.lengths] == [3, 6, 12, 24, 168]


def test_the_median_lf_is_named_and_what_it_is_tried_with(compared: LengthComparison) -> None:
    assert compared.probe == "lf1"
    assert compared.ratio == 1.5
    assert compared.lfs == 3
    first = compared.lengths[0]
    assert first.after_ms is not None
    assert first.after_ms >= 1.5 * HOUR_MS, "it begins in the middle of a window"


def test_no_length_that_is_not_known_yet_is_suggested(compared: LengthComparison) -> None:
    assert compared.best in {HOUR_MS, 3 * HOUR_MS}
    assert all(one.false_rate is None for one in compared.lengths if one.learning)


def test_only_windows_that_lie_in_the_baseline_are_counted(baseline: Baseline) -> None:
    """Three hours are no window of a day, and the ends of a week need not be those of days."""
    for windows, wanted in ((3, [3, 1, 0, 0, 0, 0]), (25, [25, 8, 4, 2, 1, 0])):
        found = compare_lengths(first(baseline, windows), alpha)
        assert found is not None
        assert [one.windows for one in found.lengths] == wanted
    late = dataclasses.replace(baseline, starts=baseline.starts + 2 * HOUR_MS)
    found = compare_lengths(late, alpha)
    assert found is not None
    assert [one.windows for one in found.lengths] == [168, 55, 27, 13, 6, 0]


def first(baseline: Baseline, windows: int) -> Baseline:
    starts, x, n = (part[:windows] for part in (baseline.starts, baseline.x, baseline.n))
    return dataclasses.replace(baseline, starts=starts, x=x, n=n)


@pytest.mark.parametrize(("rate", "ratios"), [(0.24, (1.5, 2, 3)), (0.45, (1.5, 2)), (0.8, ())])
def test_no_lf_is_tried_on_more_than_all_records(rate: float, ratios: tuple[float, ...]) -> None:
    found = compare_lengths(baseline_of(3, 300, (rate,)), alpha)
    assert found is not None
    assert found.ratio == pytest.approx(ratios[-1] if ratios else 1 / found.share)
    assert found.ratio * found.share <= 1 + 1e-9


def test_an_lf_that_votes_on_nearly_all_records_cannot_rise() -> None:
    assert compare_lengths(baseline_of(60, 300, (0.97,)), alpha) is None


def test_without_an_lf_there_is_nothing_to_compare(baseline: Baseline) -> None:
    bare = dataclasses.replace(
        baseline,
        plan=dataclasses.replace(baseline.plan, layout=simulation.layout_of(0), pairs=()),
        x=baseline.x[:, :1],
        n=baseline.n[:, :1],
    )
    assert compare_lengths(bare, alpha) is None


def test_the_series_of_all_records_are_those_of_a_baseline_without_segments() -> None:
    rng = np.random.default_rng(8)
    both = [with_segment(pane) for pane in simulation.panes(rng, np.full((60, 3), 0.2), 50)]
    baseline = simulation.fit(both)
    assert any(key.segment != "_all" for key in baseline.keys)
    bare = without_segments(baseline)
    wanted = [s for s, key in enumerate(baseline.keys) if key.segment == "_all"]
    assert list(bare.keys) == [baseline.keys[s] for s in wanted]
    assert bare.x.tolist() == baseline.x[:, wanted].tolist()
    assert bare.plan.extract(bare.total)[0].tolist() == bare.x.sum(axis=0).tolist()


@pytest.fixture(scope="module")
def of_texts() -> Baseline:
    """Give a baseline whose windows know their distinct texts, and one that follows a volume."""
    rng = np.random.default_rng(9)
    rates = simulation.wobbling(rng, RATES, 60, 0.1)
    counted = {hour * HOUR_MS: window(rng, row, [3], 200) for hour, row in enumerate(rates)}
    return baselines.fit(
        counted,
        layout=simulation.layout_of(len(RATES)),
        probe_set="simulated",
        window_ms=HOUR_MS,
        source={},
        silent=(),
    )


def test_distinct_texts_are_added_up_and_selected_with_the_records(of_texts: Baseline) -> None:
    assert of_texts.texts is not None
    assert of_texts.plan.volume
    longer, bare = added(of_texts, 3 * HOUR_MS), without_segments(of_texts)
    assert longer.texts is not None
    assert bare.texts is not None
    assert longer.texts.x.shape == longer.x.shape == (20, len(longer.keys))
    rest = np.flatnonzero([key in longer.keys for key in of_texts.keys])
    assert longer.texts.n[1].tolist() == of_texts.texts.n[3:6][:, rest].sum(axis=0).tolist()
    assert bare.texts.n.shape == bare.n.shape == (60, len(bare.keys))
    assert longer.by_text.tolist() == of_texts.by_text[rest].tolist()
    assert longer.by_text.any()


def test_lengths_of_a_baseline_with_distinct_texts_are_compared(of_texts: Baseline) -> None:
    found = compare_lengths(of_texts, alpha)
    assert found is not None
    assert [one.windows for one in found.lengths] == [60, 20, 10, 5, 2, 0]


def with_segment(pane: PaneCounts) -> PaneCounts:
    return dataclasses.replace(pane, segments={**pane.segments, "a=b": pane.segments["_all"]})


def test_where_nothing_is_found_nothing_is_suggested() -> None:
    """One record a window: even five times as many votes stay below what is tested."""
    rare = baseline_of(60, 1, (0.01,))
    assert np.all(rare.n[:, 0] == 1)
    found = compare_lengths(rare, alpha)
    assert found is not None
    assert found.best is None
    assert {one.after_ms for one in found.lengths if not one.learning} == {None}
