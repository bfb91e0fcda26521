"""What is left out of a calibration: few, long, sure incidents, and never what recurs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegauge_probes.drift.calibration import episodes
from tidegauge_probes.drift.calibration.fit import calibrate
from tidegauge_probes.drift.calibration.windows import CalibrationWindows

HOUR_MS = 3_600_000
WINDOWS, RECORDS, TAU2 = 200, 500, 0.03**2
RATES = np.array([0.02, 0.05, 0.2, 0.3])
Ints = npt.NDArray[np.int64]

bursts = st.lists(
    st.tuples(
        st.integers(0, len(RATES) - 1),
        st.integers(0, WINDOWS - 1),
        st.integers(1, 24),
        st.sampled_from([0.0, 0.5, 1.5, 3.0]),
    ),
    max_size=12,
)


def windows_of(x: Ints) -> CalibrationWindows:
    starts = HOUR_MS * np.arange(len(x), dtype=np.int64)
    return CalibrationWindows.of(starts, x, np.full_like(x, RECORDS), HOUR_MS)


def traffic(seed: int, planted: list[tuple[int, int, int, float]]) -> CalibrationWindows:
    """Return quiet counts in which a series is multiplied for some windows, once or often."""
    rates = np.tile(RATES, (WINDOWS, 1))
    for series, begin, length, times in planted:
        rates[begin : begin + length, series] *= times
    return windows_of(np.random.default_rng(seed).binomial(RECORDS, np.minimum(rates, 1.0)))


def long_runs(windows: CalibrationWindows, series: int) -> int:
    """Count the runs of a series by the rule as it is documented."""
    p_value = episodes._p_values(windows.x, windows.n, np.tile(RATES, (WINDOWS, 1)), TAU2)
    off, sure = p_value[:, series] < 6.334e-5, p_value[:, series] < 5.733e-7
    return sum(
        off[begin:end].sum() >= 3 and bool(sure[begin:end].any())
        for begin, end in episodes.runs(off)
    )


@given(st.integers(0, 100), bursts)
@settings(max_examples=150)
def test_a_series_with_more_than_two_runs_is_never_touched(
    seed: int, planted: list[tuple[int, int, int, float]]
) -> None:
    windows = traffic(seed, planted)
    chosen = episodes.left_out(windows, np.tile(RATES, (WINDOWS, 1)), TAU2)
    for series in range(len(RATES)):
        assert not (long_runs(windows, series) > 2 and chosen[:, series].any())
    assert len(episodes.runs(np.asarray(chosen.any(axis=1)))) <= episodes.STRETCHES


def test_what_is_kept_by_hand_is_learned_from() -> None:
    rates = np.tile([0.05, 0.05, 0.2, 0.1], (WINDOWS, 1))
    rates[100:110, 1] *= 3
    windows = windows_of(np.random.default_rng(1).binomial(RECORDS, rates))
    assert calibrate(windows).left_out == ((99 * HOUR_MS, 111 * HOUR_MS),)
    kept = calibrate(replace(windows, keep=((90 * HOUR_MS, 120 * HOUR_MS),)))
    assert kept.left_out == ()
    assert (kept.n == WINDOWS * RECORDS).all()
    partly = calibrate(replace(windows, keep=((105 * HOUR_MS, 120 * HOUR_MS),)))
    assert partly.left_out == ((99 * HOUR_MS, 105 * HOUR_MS),)


def test_a_storm_within_an_incident_of_another_series_stays_in() -> None:
    """Series 2 has a storm every 40 hours; one of them falls into the incident of series 1."""
    rates = np.tile([0.05, 0.05, 0.2, 0.1, 0.1, 0.3, 0.3], (WINDOWS, 1))
    rates[100:110, 1] *= 3
    for begin in range(20, WINDOWS, 40):
        rates[begin : begin + 6, 2] *= 3
    found = calibrate(windows_of(np.random.default_rng(1).binomial(RECORDS, rates)))
    assert found.left_out == ((99 * HOUR_MS, 111 * HOUR_MS),)
    assert found.n[1] == (WINDOWS - 12) * RECORDS
    assert found.n[2] == WINDOWS * RECORDS
