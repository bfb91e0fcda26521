"""Which series wander: those whose sums still vary more and more at the longest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.probes.drift.calibration.test_fit import steady, windows_of
from tests.probes.simulation import HOUR_MS, fit, shifted
from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.calibration.fit import calibrate, forecast
from tidegauge_probes.drift.calibration.random_walk import wanders
from tidegauge_probes.drift.calibration.variance_time import PHIS, VarianceTime
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict

Floats = npt.NDArray[np.float64]


LONG, MANY = np.array([0.8]), np.array([5_000.0])


def walk(seed: int, windows: int, series: int, step: float = 0.1) -> Floats:
    """Return shares that walk at random in their log odds, [W, S]."""
    rng = np.random.default_rng(seed)
    logit = -2 + np.cumsum(step * rng.standard_normal((windows, series)), axis=0)
    return np.asarray(1 / (1 + np.exp(-logit)))


def curve_of(phi: float, share: float = 1.0) -> VarianceTime:
    weights = np.zeros((len(PHIS), 1))
    weights[phi == PHIS] = share
    return VarianceTime(weights)


@pytest.mark.parametrize(("phi", "said"), [(0.3, False), (0.95, False), (0.995, True)])
def test_what_still_rises_at_the_longest_sums_wanders(phi: float, said: bool) -> None:  # noqa: FBT001
    assert wanders(curve_of(phi), LONG, MANY, 336).tolist() == [said]


def test_a_small_part_that_rises_is_no_walk() -> None:
    assert not wanders(curve_of(0.995, 0.05), LONG, MANY, 336).any()


def test_short_baselines_and_rare_series_cannot_tell() -> None:
    curve = curve_of(0.995)
    assert not wanders(curve, LONG, MANY, 127).any()
    assert not wanders(curve, LONG, np.array([335.0]), 336).any()


def test_a_series_must_show_it_itself() -> None:
    assert not wanders(curve_of(0.995), np.array([0.05]), MANY, 336).any()


def test_random_walks_wander_and_steady_series_do_not() -> None:
    n = np.full((336, 8), 500)
    moving = calibrate(windows_of(np.random.default_rng(2).binomial(n, walk(2, 336, 8)), n))
    assert moving.wanders.all()
    still = calibrate(windows_of(*steady(1, 336, *[0.05] * 8)))
    assert not still.wanders.any()


def test_a_walk_within_its_bounds_is_not_forecast_to_alert() -> None:
    """Steps so small that no odds ratio of 3 comes: with every shift reported, some would."""
    n = np.full((336, 8), 500)
    shares = walk(3, 336, 8, 0.02)
    calibrated = windows_of(np.random.default_rng(3).binomial(n, shares), n)
    found = calibrate(calibrated)
    assert found.wanders.any()
    told = forecast(calibrated, found, np.ones(8)).per_window(5e-4)
    assert told is not None
    assert told < 5e-3


# -- compared -----------------------------------------------------------------------------------


def pane(rng: np.random.Generator, rates: Floats, records: int = 400) -> counts.PaneCounts:
    voted = rng.random((records, len(rates))) < rates
    return counts.fold(
        matrix(np.where(voted, np.arange(len(rates)) % 2, -1).astype(np.int8)), 2, {}
    )


def test_a_wandering_series_alerts_only_if_it_is_grossly_off() -> None:
    rng = np.random.default_rng(4)
    rates = walk(4, 336, 4, 0.03)
    rates[:, 3] = 0.2
    fitted = fit([pane(rng, row) for row in rates])
    names = {key.probe for key in fitted.wandering if key.series == "coverage"}
    assert "lf0" in names
    assert "lf3" not in names
    read = baselines.decode(fitted.encode())
    assert read.wandering == fitted.wandering
    still = replace(read.calibration, wanders=np.zeros(len(read.keys), dtype=np.bool_))
    never = replace(read, learned=(still, read.forecast))
    of_lf = [read.keys.index(SeriesKey(SeriesKind.COVERAGE, probe=f"lf{n}")) for n in range(4)]

    def found(odds: float, baseline: Baseline) -> list[Finding]:
        usual = read.calibration.p[of_lf]
        seen = pane(np.random.default_rng(5), usual * odds / (1 - usual + usual * odds), 4_000)
        return comparison.compare(336 * HOUR_MS, seen, baseline, Detector(budget=300))

    twice = found(2.0, read)
    assert "lf3" in shifted(twice)
    assert "lf0" not in shifted(twice)
    assert "lf0" in shifted(found(2.0, never))
    assert twice[of_lf[0]].verdict is Verdict.WANDERS
    assert twice[of_lf[0]].growth > 8
    assert "lf0" in shifted(found(1e-9, read)), "it died"
