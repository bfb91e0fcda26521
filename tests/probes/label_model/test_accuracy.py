"""The accuracy of a deployed model, estimated from gold labels at baseline and votes alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.simulated_votes import Floats, World, unipolar
from tidegauge_probes.label_model.accuracy import Accuracy, Gold
from tidegauge_probes.label_model.accuracy import estimate as estimate_
from tidegauge_probes.model import ABSTAIN, Outcomes

BEFORE = np.array([0.7, 0.3])
Ints = npt.NDArray[np.int64]

RIGHT_ON = np.array([0.95, 0.6])
"""The model is good at ham and poor at spam: another mix of classes is another accuracy."""

TOPIC = 0.2
"""Accuracy on records on which LF 0 votes, in the world where that matters."""


def world() -> World:
    return unipolar(np.random.default_rng(3), 12, BEFORE, coverage=(0.1, 0.3))


def traffic(seed: int, n: int, prior: Floats, *, topic: float = 0.0) -> Gold:
    """Return labelled records. *topic*: on so many LF 0 votes, and hardly else."""
    rng = np.random.default_rng(seed)
    y, votes = world().draw(rng, n, prior)
    votes[:, 0] = np.where(rng.random(n) < topic, 1, votes[:, 0]) if topic else votes[:, 0]
    chance = np.where((votes[:, 0] == 1) & (topic > 0), TOPIC, RIGHT_ON[y])
    predicted = np.where(rng.random(n) < chance, y, 1 - y)
    return labelled(votes, y, predicted)


def labelled(votes: Outcomes, y: Ints, predicted: Ints) -> Gold:
    """Put the model in the last column."""
    return Gold(np.column_stack([votes, predicted]).astype(np.int8), y, votes.shape[1], 2)


def estimate(gold: Gold, shares: Floats, prior: Floats) -> Accuracy | None:
    """Estimate where no LF fails. *prior*: the class shares now."""
    return estimate_(gold, shares, ratios(gold, prior), np.ones(gold.outcomes.shape[1], np.bool_))


def ratios(gold: Gold, prior: Floats) -> Floats:
    """Return how many times as common each class is as among the gold records."""
    before = np.bincount(gold.labels, minlength=2) / max(len(gold.labels), 1)
    return np.asarray(np.maximum(prior, 1e-9) / np.maximum(before, 1e-9))


def shares(gold: Gold) -> Floats:
    return np.asarray(gold.psi.mean(axis=0))


@pytest.mark.parametrize("spam", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_it_follows_the_mix_of_classes(spam: float) -> None:
    gold = traffic(1, 20_000, BEFORE)
    prior = np.array([1 - spam, spam])
    now = traffic(2, 20_000, prior)
    found = estimate(gold, shares(now), prior)
    assert found is not None
    assert found.value == pytest.approx(now.accuracy, abs=0.02)


def test_it_follows_a_topic_that_an_lf_sees() -> None:
    """The classes are as ever; records of a kind that the model is bad at have trebled."""
    gold = traffic(1, 20_000, BEFORE, topic=0.05)
    now = traffic(2, 20_000, BEFORE, topic=0.3)
    found = estimate(gold, shares(now), BEFORE)
    assert found is not None
    assert gold.accuracy - now.accuracy > 0.1
    assert found.value == pytest.approx(now.accuracy, abs=0.02)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    prior, held = np.array([0.5, 0.5]), 0
    for seed in range(60):
        gold = traffic(seed, 1_500, BEFORE)
        now = traffic(1_000 + seed, 20_000, prior)
        found = estimate(gold, shares(now), prior)
        assert found is not None
        held += found.low <= float(prior @ RIGHT_ON) <= found.high
    assert held >= 51  # of 60 that hold with .95, fewer come once in 300 times


def test_unchanged_traffic_has_the_accuracy_of_the_gold_records() -> None:
    gold = traffic(1, 5_000, BEFORE)
    found = estimate(gold, shares(gold), np.bincount(gold.labels) / 5_000)
    assert found is not None
    assert found.value == pytest.approx(gold.accuracy, abs=1e-3)
    assert found.effective == pytest.approx(5_000, rel=0.01)


def test_nothing_is_said_of_traffic_that_the_gold_records_do_not_hold() -> None:
    votes = np.full((1_000, 4), ABSTAIN, dtype=np.int8)
    votes[:5, 0] = 1
    gold = labelled(votes, np.zeros(1_000, np.int64), np.zeros(1_000, np.int64))
    assert (
        estimate(gold, np.array([0.0, 0.9, 0, 0, 0, 0, 0, 0, 1.0, 0.0]), np.array([1.0, 0.0]))
        is None
    )


def test_nothing_is_said_where_too_many_lfs_fail() -> None:
    gold = traffic(1, 5_000, BEFORE)
    working = np.zeros(13, np.bool_)
    working[[0, 1, 2, 12]] = True
    assert estimate_(gold, shares(gold), ratios(gold, BEFORE), working) is not None
    working[0] = False
    assert estimate_(gold, shares(gold), ratios(gold, BEFORE), working) is None


def test_few_gold_records_say_nothing() -> None:
    gold = traffic(1, 150, BEFORE)
    assert estimate(gold, shares(gold), BEFORE) is None


@given(
    st.integers(0, 400),
    st.lists(st.floats(0, 1), min_size=10, max_size=10),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_it_is_finite_whatever_comes(n: int, now: list[float], ham: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    votes = rng.integers(-2, 2, (n, 4)).astype(np.int8)
    gold = labelled(votes, rng.integers(0, 2, n), rng.integers(0, 2, n))
    found = estimate(gold, np.array(now), np.array([ham, 1 - ham]))
    if found is not None:
        assert 0 <= found.low <= found.value + 1e-9
        assert found.value <= found.high + 1e-9 <= 1 + 1e-9
