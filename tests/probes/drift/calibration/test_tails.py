"""What is learned of tails: the generalised Pareto law, the maps, the forecast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes.drift.calibration import generalised_pareto
from tidegauge_probes.drift.calibration.fit import calibrate
from tidegauge_probes.drift.calibration.forecast import NO_FORECAST, Forecast, incidents
from tidegauge_probes.drift.calibration.windows import CalibrationWindows

Floats = npt.NDArray[np.float64]
HOUR_MS = 3_600_000


def exponential(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).exponential(size=count)


def test_honest_p_values_are_exceeded_as_often_as_they_say() -> None:
    """−ln p of 10,000 honest tests: e⁻⁹ are beyond 9 nats."""
    law = generalised_pareto.fit(exponential(10_000), 10_000, 0.03)
    assert law is not None
    assert law.log_rate(np.array(9.0)) == pytest.approx(-9, abs=0.7)


def test_fewer_peaks_make_a_heavier_tail() -> None:
    rates = []
    for count in (50, 500, 5_000):
        peaks = np.quantile(exponential(100_000), (np.arange(count) + 0.5) / count)
        law = generalised_pareto.fit(peaks, count, 0.15)
        assert law is not None
        rates.append(float(law.log_rate(np.array(14.0))))
    assert rates[0] > rates[1] > rates[2]


def test_a_heavy_tail_is_seen() -> None:
    honest = generalised_pareto.fit(exponential(2_000), 2_000, 0.15)
    heavy = generalised_pareto.fit(exponential(2_000) * 3, 2_000, 0.15)
    assert honest is not None
    assert heavy is not None
    level = np.array(12.0)
    assert heavy.log_rate(level) > honest.log_rate(level) + 4


@given(st.lists(st.floats(-5, 200), min_size=20, max_size=80), st.floats(0.01, 0.3))
def test_the_rate_falls_in_the_level(peaks: list[float], heaviness: float) -> None:
    law = generalised_pareto.fit(np.array(peaks), 1_000.0, heaviness)
    assert law is not None
    found = law.log_rate(law.level + np.linspace(0, 150, 300))
    assert np.isfinite(found).all()
    assert (np.diff(found) <= 1e-12).all()


def test_too_few_peaks_say_nothing() -> None:
    assert generalised_pareto.fit(exponential(19), 100, 0.03) is None


def test_a_map_never_makes_evidence_of_nothing_and_keeps_its_order() -> None:
    rng = np.random.default_rng(2)
    n = np.full((200, 6), 500)
    x = rng.binomial(n, [0.0005, 0.001, 0.05, 0.1, 0.2, 0.3])
    starts = HOUR_MS * np.arange(200, dtype=np.int64)
    tails = calibrate(CalibrationWindows.of(starts, x, n, HOUR_MS)).tails
    assert tails is not None
    assert tails.rare.tolist() == [True, True, False, False, False, False]
    evidence = np.repeat(np.linspace(-1, 60, 200)[:, None], 6, axis=1)
    for scale in (1, 3, 10, 40):
        found = tails.through(evidence, np.full((200, 6), scale))
        assert (found <= evidence).all()
        beyond = found[evidence[:, 0] > 20]
        assert (np.diff(beyond, axis=0) >= 0).all()
        assert (beyond[-1] > 8).all(), "what is far enough out can still open an alert"


# -- the forecast -----------------------------------------------------------------------------


def test_a_level_that_was_reached_is_counted() -> None:
    told = Forecast(np.array([9.0] * 12 + [1.0] * 88), 1_000)
    assert told.per_window(np.exp(-8)) == pytest.approx(0.0125)


def test_a_level_that_was_not_is_extrapolated() -> None:
    rates = [Forecast(exponential(300), 300).per_window(alpha) for alpha in (1e-3, 1e-5)]
    assert rates[0] == pytest.approx(1e-3, rel=1.0)
    assert rates[1] is not None
    assert 0.5e-5 < rates[1] < 1e-4, "300 windows cannot be surer"


def test_without_windows_there_is_no_forecast() -> None:
    assert NO_FORECAST.per_window(1e-3) is None


def test_a_long_excursion_is_one_incident_and_series_together_too() -> None:
    evidence = np.full((60, 3), -np.inf)
    evidence[10:18, 0] = [2, 3, 6, 5, 4, 4, 3, 2]
    evidence[12, 1] = 7
    evidence[40, 2] = 5
    assert sorted(incidents(evidence).tolist()) == [5, 7]
    assert incidents(np.full((5, 2), -np.inf)).tolist() == []
