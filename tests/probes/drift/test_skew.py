"""Training data against live traffic: what was never alike, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tidegauge_probes.counts import panes as counts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import skew
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.findings import ALL, SeriesKind
from tidegauge_probes.model import Layout, VoteMatrix

HOUR = 3_600_000
LAYOUT = Layout(("rare", "often", "dead"), ("NO", "YES"), ((1,), (0, 1), (1,)))
LIVE = (0.05, 0.3, 0.0)


def fitted(
    rng: np.random.Generator,
    shares: tuple[float, float, float],
    *,
    windows: int,
    n: int,
    tau: float = 0.1,
) -> Baseline:
    """Fit a baseline to windows of overdispersed votes; none is timed if there is one only."""
    panes = {}
    for w in range(windows):
        logits = np.log(np.clip(shares, 1e-9, 1)) - np.log1p(-np.array(shares))
        p = 1 / (1 + np.exp(-(logits + rng.normal(0, tau, 3))))
        votes = np.where(rng.random((n, 3)) < p, 1, -1).astype(np.int8)
        matrix = VoteMatrix(votes, np.zeros((n, 0), np.bool_), np.zeros(3))
        panes[w * HOUR if windows > 1 else -1] = counts.fold(matrix, 2, {})
    return baselines.fit(
        panes, layout=LAYOUT, probe_set="p", window_ms=HOUR, source={"seed": str(rng)}
    )


@pytest.fixture(scope="module")
def live() -> Baseline:
    found = fitted(np.random.default_rng(1), LIVE, windows=72, n=500)
    assert not found.learning
    return found


@pytest.mark.parametrize("seed", range(20))
def test_training_data_of_the_same_kind_are_not_named(live: Baseline, seed: int) -> None:
    """And however many they are: they are as restless as one window of live traffic."""
    training = fitted(np.random.default_rng(seed), LIVE, windows=1, n=20_000)
    assert skew.compare(training, live) == ()


def test_what_differs_is_named_the_surest_first(live: Baseline) -> None:
    training = fitted(np.random.default_rng(3), (0.1, 0.3, 0.2), windows=1, n=20_000)
    found = skew.compare(training, live)
    coverage = [s for s in found if s.key.series is SeriesKind.COVERAGE]
    assert [s.key.probe for s in coverage] == ["dead", "rare"]
    assert all(s.key.segment == ALL for s in coverage)
    rare = coverage[1]
    assert rare.trained == pytest.approx(0.1, abs=0.03)
    assert rare.live == pytest.approx(0.05, abs=0.005)
    assert rare.effect == pytest.approx(
        rare.live / (1 - rare.live) * (1 - rare.trained) / rare.trained, rel=0.05
    )
    assert 0 <= rare.p_value < 1e-4


def test_the_time_of_day_is_not_held_against_training_data() -> None:
    """Training data have no time; a live cycle of ± half is no skew."""
    rng = np.random.default_rng(5)
    panes = {}
    for w in range(96):
        p = 0.3 * (1 + 0.5 * np.sin(2 * np.pi * w / 24))
        votes = np.where(rng.random((500, 3)) < (0.05, p, 0.02), 1, -1).astype(np.int8)
        matrix = VoteMatrix(votes, np.zeros((500, 0), np.bool_), np.zeros(3))
        panes[w * HOUR] = counts.fold(matrix, 2, {})
    cyclic = baselines.fit(panes, layout=LAYOUT, probe_set="p", window_ms=HOUR, source={})
    assert cyclic.calibration.season.cycles
    training = fitted(rng, (0.05, 0.3, 0.02), windows=1, n=5_000, tau=0.0)
    assert skew.compare(training, cyclic) == ()


def test_few_or_no_training_records_tell_nothing(live: Baseline) -> None:
    few = fitted(np.random.default_rng(0), (0.99, 0.3, 0.0), windows=1, n=15)
    assert skew.compare(few, live) == ()
