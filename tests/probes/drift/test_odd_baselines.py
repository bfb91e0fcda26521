"""Baselines that nobody would choose: fitted, stored, read again and compared with."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probes.simulation import HOUR_MS, fit, layout_of, shifted
from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.findings import Finding, Verdict
from tidegauge_probes.model import ABSTAIN

RATES = st.sampled_from([0.0, 0.001, 0.05, 0.5, 1.0])
DETECTOR = Detector()


def window(rng: np.random.Generator, rates: list[float], records: int) -> PaneCounts:
    """Count a window in which all or nothing is as likely as any other rate."""
    voted = rng.random((records, len(rates))) < np.array(rates)
    labels = np.arange(len(rates), dtype=np.int8) % 2
    halves = {"side=l": np.arange(records) % 2 == 0}
    return counts.fold(matrix(np.where(voted, labels, np.int8(ABSTAIN))), 2, halves)


def assert_sound(findings: list[Finding]) -> None:
    """What is found is JSON, and no p-value is 0."""
    for found in findings:
        json.dumps(asdict(found), allow_nan=False)
        assert found.p_value is None or 0 < found.p_value <= 1
        assert (found.verdict is Verdict.NO_DATA) == (found.n == 0)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 20, 47, 48, 60]),
    st.lists(RATES, min_size=1, max_size=4),
    st.lists(st.sampled_from([0, 1, 40]), min_size=1, max_size=3),
)
@settings(max_examples=40)
def test_any_baseline_is_stored_and_compared_with(
    seed: int, windows: int, rates: list[float], volumes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    panes = [window(rng, rates, volumes[hour % len(volumes)]) for hour in range(windows)]
    panes[0] = window(rng, rates, 40)
    with np.errstate(all="raise", under="ignore"):
        fitted = fit(panes)
        assert fitted.learning is (len(fitted.starts) < 48)
        read = baselines.decode(fitted.encode())
        past = Past.none(len(read.keys))
        for hour, (rate, records) in enumerate(((rates, 40), ([1.0] * len(rates), 1), (rates, 0))):
            start = (windows + hour) * HOUR_MS
            pane = window(rng, rate, records)
            found = comparison.compare(start, pane, read, DETECTOR, past)
            assert_sound(found)
            past = past.then(start, *read.plan.extract(pane))
        assert_sound(comparison.describe(0, panes[0], read))


def test_500_lfs_in_60_segments_are_followed() -> None:
    """Of each field its 20 largest values: 63 segments of all and `_other`, 128,000 series."""
    rng = np.random.default_rng(3)
    labels = np.arange(500, dtype=np.int8) % 2
    rates = rng.beta(0.3, 20, 500)

    def pane() -> PaneCounts:
        voted = rng.random((300, 500), dtype=np.float32) < rates
        values = {f"f{f}=v{v}": rng.integers(0, 20, 300) == v for f in range(3) for v in range(20)}
        return counts.fold(matrix(np.where(voted, labels, np.int8(ABSTAIN))), 2, values)

    fitted = baselines.fit(
        {0: pane()},
        layout=layout_of(500),
        probe_set="wide",
        window_ms=HOUR_MS,
        source={},
    )
    found = comparison.compare(HOUR_MS, pane(), fitted, DETECTOR)
    assert len(found) == len(fitted.keys) > 125_000
    p_values = np.array([one.p_value for one in found if one.p_value is not None])
    assert ((p_values > 0) & (p_values <= 1)).all()
    assert not any(one.shifted for one in found)


# -- what each of them is said to do ------------------------------------------------------------


def baseline_of(hours: int, records: int, *rates: float) -> Baseline:
    rng = np.random.default_rng(5)
    return fit([window(rng, list(rates), records) for _ in range(hours)])


def scanned(
    fitted: Baseline, hours: int, records: int, *rates: float
) -> tuple[int | None, list[Finding]]:
    """Return the first of some windows in which LF 0 is shifted, and what the last one shows."""
    rng = np.random.default_rng(6)
    past, first, found = Past.none(len(fitted.keys)), None, []
    for hour in range(hours):
        start = int(fitted.starts[-1]) + (1 + hour) * HOUR_MS
        pane = window(rng, list(rates), records)
        found = comparison.compare(start, pane, fitted, DETECTOR, past)
        past = past.then(start, *fitted.plan.extract(pane))
        if first is None and "lf0" in shifted(found):
            first = hour + 1
    return first, found


@pytest.mark.parametrize("windows", [1, 3, 20])
def test_a_short_baseline_reports_large_shifts_only(windows: int) -> None:
    fitted = baseline_of(windows, 400, 0.2, 0.2)
    assert fitted.learning
    assert scanned(fitted, 10, 400, 0.3, 0.3)[0] is None, "an odds ratio of 1.7"
    first, found = scanned(fitted, 10, 400, 0.6, 0.6)
    assert first is not None
    effects = np.array([one.effect for one in found if one.shifted])
    assert (np.abs(np.log(effects)) >= np.log(3)).all()


@pytest.mark.parametrize(("then", "now"), [(0.0, 0.2), (1.0, 0.8)])
def test_what_never_or_always_happened_is_told_once_it_came_13_times(
    then: float, now: float
) -> None:
    fitted = baseline_of(60, 400, then, 0.2)
    assert scanned(fitted, 10, 400, then, 0.2)[0] is None
    assert scanned(fitted, 10, 400, now, 0.2)[0] == 1


def test_one_record_a_window_is_told_by_sums() -> None:
    """Two weeks of single records are enough: after 20 of another kind, or some more."""
    fitted = baseline_of(336, 1, 0.1, 0.1)
    assert scanned(fitted, 64, 1, 0.1, 0.1)[0] is None
    first, found = scanned(fitted, 64, 1, 1.0, 0.1)
    assert first is not None
    assert 20 <= first <= 40
    assert {one.scale > 1 for one in found if one.shifted} == {True}
