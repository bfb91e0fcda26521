"""What the time zone is for: no false episodes when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.probes.simulation import count, layout_of, shifted
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.season import DAY_MS, HOUR_MS
from tidegauge_probes.findings import SeriesKind

BERLIN = CivilTime("Europe/Berlin")
LFS, RECORDS, CALIBRATION, LIVE = 6, 2_000, 15 * 24, 4 * 24
"""Fifteen days before the change, four from it on."""


def traffic(change: str, seed: int) -> dict[int, PaneCounts]:
    """Count windows around a change of clocks; each LF has its cycle by the clock of Berlin."""
    rng = np.random.default_rng(seed)
    at = int(datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp() * 1000)
    starts = at + np.arange(-CALIBRATION, LIVE) * HOUR_MS
    day = BERLIN.local(starts, HOUR_MS) % DAY_MS / DAY_MS
    cycles = 1 + 0.7 * np.sin(2 * np.pi * (day[:, None] + np.arange(LFS) / LFS))
    rates = np.linspace(0.05, 0.4, LFS) * cycles * rng.lognormal(-0.005, 0.1, (len(day), LFS))
    return {int(s): count(rng, r, RECORDS) for s, r in zip(starts, rates, strict=True)}


def resting(holiday: int, seed: int) -> dict[int, PaneCounts]:
    """Count four weeks in which the first half of the LFs rests on Sundays and on one other day."""
    rng, monday = np.random.default_rng(seed), 1_767_571_200_000  # 2026-01-05
    starts = monday + np.arange(28 * 24) * HOUR_MS
    day = np.arange(len(starts)) // 24
    rest = (day % 7 == 6) | (day == holiday)
    rates = np.full((len(starts), LFS), 0.3) * rng.lognormal(-0.005, 0.1, (len(starts), LFS))
    rates[:, : LFS // 2] *= np.where(rest, 0.5, 1.0)[:, None]
    return {int(s): count(rng, r, RECORDS) for s, r in zip(starts, rates, strict=True)}


def fitted(windows: dict[int, PaneCounts], civil: CivilTime) -> Baseline:
    return baselines.fit(
        windows,
        layout=layout_of(LFS),
        probe_set="clock",
        window_ms=HOUR_MS,
        source={},
        civil=civil,
    )


def episodes(
    windows: dict[int, PaneCounts], civil: CivilTime, calibration: int = CALIBRATION
) -> int:
    """Return how often a series of coverage leaves the baseline after the calibration."""
    starts = sorted(windows)
    baseline = fitted({start: windows[start] for start in starts[:calibration]}, civil)
    past, open_, found = Past.none(len(baseline.keys)), set[str](), 0
    for start in starts[calibration:]:
        findings = comparison.compare(start, windows[start], baseline, Detector(), past)
        now = shifted(findings)
        found += len(now - open_)
        open_ = now
        x, n = np.array([(f.x, f.n) for f in findings], dtype=np.int64).T
        past = past.then(start, x, n)
    return found


@pytest.mark.parametrize("change", ["2026-03-29T01:00", "2026-10-25T01:00"])
def test_with_the_zone_a_clock_change_opens_far_fewer_episodes(change: str) -> None:
    # How many open without it depends on the noise, from 2 upwards in one stream. So four streams
    # are added up. Most of these episodes were of pairs, which are compared with what coverages
    # explain: 24 are left of 48.
    streams = [traffic(change, seed) for seed in range(1, 5)]
    without = sum(episodes(windows, CivilTime()) for windows in streams)
    with_zone = sum(episodes(windows, BERLIN) for windows in streams)
    assert without >= 5 * len(streams)
    assert with_zone <= without / 8


def test_a_holiday_in_the_calendar_opens_no_episodes_and_another_does() -> None:
    windows = resting(holiday=23, seed=3)  # Wednesday, 28 January
    three_weeks = 21 * 24
    known = CivilTime(calendar=("2026-01-28",))
    unknown = CivilTime(calendar=("2026-01-29",))
    assert episodes(windows, known, three_weeks) == 0
    assert episodes(windows, unknown, three_weeks) >= LFS // 2


def test_a_holiday_in_the_calibration_is_neither_noise_nor_a_false_incident() -> None:
    windows = resting(holiday=9, seed=1)  # Wednesday, 14 January
    known = fitted(windows, CivilTime(calendar=("2026-01-14",)))
    unknown = fitted(windows, CivilTime(calendar=("2026-01-29",)))
    coverage = [i for i, key in enumerate(known.keys) if key.series is SeriesKind.COVERAGE]
    rest = coverage[: LFS // 2]
    assert (known.calibration.tau2[rest] < 0.7 * unknown.calibration.tau2[rest]).all()
    incidents, without = (one.forecast.per_window(1e-3) for one in (known, unknown))
    assert incidents is not None
    assert without is not None
    assert incidents < without / 2
