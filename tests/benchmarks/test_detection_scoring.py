"""What the detection benchmark counts."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from benchmarks.detection import scoring
from benchmarks.detection.scoring import HORIZON, Delays, Mask, PerThousand


def mask(*series: str) -> Mask:
    """Return alarms [W, S]: a string per series, ``#`` in alarm."""
    return np.array([[sign == "#" for sign in of_series] for of_series in series]).T


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(scoring).failed == 0


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (("......",), 0),
        (("##....",), 1),
        (("#.#.#.",), 1),  # it flickers: one episode
        (("#....#",), 2),
        (("#.....", "#....."), 1),  # they open together
        (("#.....", ".#...."), 2),
    ],
)
def test_episodes(series: tuple[str, ...], expected: int) -> None:
    assert scoring.episodes(mask(*series)) == expected


def test_a_rate_has_the_exact_interval_of_a_poisson_count() -> None:
    low, high = PerThousand(10, 20_000).interval
    assert (low, high) == pytest.approx((4.795 / 20, 18.390 / 20), abs=1e-3)
    assert PerThousand(0, 1_000).interval == pytest.approx((0.0, 3.689), abs=1e-3)


def test_delay_counts_the_first_window_as_one() -> None:
    alarms = mask("..#", "...")
    assert scoring.delay(alarms, 0) == 3
    assert scoring.delay(alarms, 1) is None


def test_what_is_never_found_counts_as_the_horizon() -> None:
    found = Delays((1, 25, None))
    assert found.found == pytest.approx(1 / 3)
    assert found.mean == pytest.approx((26 + HORIZON) / 3)


@pytest.mark.parametrize("allowed", [1.0, 5.0, 50.0])
def test_a_matched_threshold_keeps_to_what_is_allowed_and_wastes_little(allowed: float) -> None:
    scores = np.random.default_rng(3).exponential(size=(4_000, 5))
    threshold = scoring.threshold_for(scores, allowed)
    assert scoring.episodes(scores > threshold) <= 4 * allowed
    assert scoring.episodes(scores > 0.97 * threshold) > 4 * allowed
