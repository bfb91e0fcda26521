"""What the time zone is for: no false episodes when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.probes.simulation import count, layout_of, shifted
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.season import DAY_MS, HOUR_MS

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


def episodes(windows: dict[int, PaneCounts], civil: CivilTime) -> int:
    """Return how often a series of coverage leaves the baseline after the calibration."""
    starts = sorted(windows)
    baseline = baselines.fit(
        {start: windows[start] for start in starts[:CALIBRATION]},
        layout=layout_of(LFS),
        probe_set="clock",
        window_ms=HOUR_MS,
        source={},
        civil=civil,
    )
    past, open_, found = Past.none(len(baseline.keys)), set[str](), 0
    for start in starts[CALIBRATION:]:
        findings = comparison.compare(start, windows[start], baseline, Detector(), past)
        now = shifted(findings)
        found += len(now - open_)
        open_ = now
        x, n = np.array([(f.x, f.n) for f in findings], dtype=np.int64).T
        past = past.then(start, x, n)
    return found


@pytest.mark.parametrize("change", ["2026-03-29T01:00", "2026-10-25T01:00"])
def test_with_the_zone_a_clock_change_opens_far_fewer_episodes(change: str) -> None:
    windows = traffic(change, seed=2)
    without, with_zone = episodes(windows, CivilTime()), episodes(windows, BERLIN)
    assert without >= 8
    assert with_zone <= without / 8
