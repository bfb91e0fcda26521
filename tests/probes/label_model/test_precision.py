"""Precision of LFs in a window, from counts alone, against the truth."""

from __future__ import annotations

import dataclasses
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.probes.simulated_votes import World, pane, unipolar
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, LabelModelKind, fit, precision
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import ABSTAIN, ERROR, Outcomes

BASE = np.array([0.6, 0.4])
THREE = np.array([0.5, 0.3, 0.2])

SD = {500: 0.101, 2_000: 0.052, 10_000: 0.024}
"""Records in a window → standard deviation of an LF's precision, within 15 % (design)."""


@pytest.fixture(scope="module")
def world() -> World:
    """Twenty LFs of coverage 5 to 15 %."""
    return unipolar(np.random.default_rng(1), 20, BASE, coverage=(0.05, 0.15))


@pytest.fixture(scope="module")
def model(world: World) -> LabelModel:
    """Fitted from training votes."""
    _, outcomes = world.draw(np.random.default_rng(2), 100_000, BASE)
    fitted = fit(outcomes, 2)
    assert fitted.kind is LabelModelKind.FULL, "these LFs are independent given the class"
    return fitted


def votes(outcomes: Outcomes, classes: int = 2) -> PairCounts:
    """Count how often votes came together."""
    return PairCounts.of(pane(outcomes, classes))


@pytest.mark.parametrize("n", SD)
@pytest.mark.parametrize("spam", [0.4, 0.6])
def test_precision_is_found_within_its_interval_also_when_the_mix_has_shifted(
    world: World, model: LabelModel, n: int, spam: float
) -> None:
    rng, prior = np.random.default_rng(n), np.array([1 - spam, spam])
    truth = world.precision(prior)
    off, inside, shares = list[float](), list[bool](), list[float]()
    for _ in range(60):
        found = precision.of_window(model, votes(world.draw(rng, n, prior)[1]))
        known = ~np.isnan(found.value)
        off += (found.value - truth)[known].tolist()
        inside += ((found.low <= truth) & (truth <= found.high))[known].tolist()
        shares.append(found.prior[1])
    assert np.std(off) <= 1.15 * SD[n]
    assert abs(np.mean(off)) < 0.015
    assert 0.90 < np.mean(inside) < 0.98
    assert abs(np.mean(shares) - spam) < 0.01


def test_what_the_mix_alone_explains_is_told_apart(world: World, model: LabelModel) -> None:
    """Spam goes from 40 to 20 %: precision falls, at unchanged LFs, as expected."""
    prior = np.array([0.8, 0.2])
    _, outcomes = world.draw(np.random.default_rng(9), 50_000, prior)
    found = precision.of_window(model, votes(outcomes))
    spam = np.arange(1, 20, 2)
    before = model.precision()[spam, 1]
    assert (before - found.expected[spam, 1]).min() > 0.02, "the mix moves all of them"
    assert np.abs(found.value - found.expected)[spam, 1].mean() < 0.03


def test_lfs_that_vote_less_often_and_are_as_right_make_no_other_look_worse(
    world: World, model: LabelModel
) -> None:
    says = world.says.copy()
    says[5] *= 0.3
    says[6] *= 0.1
    _, outcomes = World(says).draw(np.random.default_rng(8), 50_000, BASE)
    found = precision.of_window(model, votes(outcomes))
    assert not found.changed.any()
    assert found.prior == pytest.approx(BASE, abs=0.01)


def test_an_lf_that_breaks_is_seen_and_no_other(world: World, model: LabelModel) -> None:
    says = world.says.copy()
    says[5, 1] = says[5, 1] @ BASE  # now it votes whatever the class
    _, outcomes = World(says).draw(np.random.default_rng(4), 50_000, BASE)
    found = precision.of_window(model, votes(outcomes))
    assert np.argwhere(found.changed).tolist() == [[5, 1]]
    assert found.value[5, 1] == pytest.approx(BASE[1], abs=0.05)


def test_a_baseline_of_few_records_calls_nothing_changed(world: World) -> None:
    """At 1,500 records an LF's precision at baseline is off by .05 and more: that is no change."""
    rng = np.random.default_rng(12)
    for _ in range(20):
        young = fit(world.draw(rng, 1_500, BASE)[1], 2)
        found = precision.of_window(young, votes(world.draw(rng, 20_000, BASE)[1]))
        assert not found.changed.any()


def test_an_lf_that_fails_is_neither_judged_nor_used(world: World, model: LabelModel) -> None:
    rng = np.random.default_rng(13)
    _, outcomes = world.draw(rng, 20_000, BASE)
    whole = precision.of_window(model, votes(outcomes))
    outcomes[rng.random(len(outcomes)) < 0.5, 5] = ERROR
    found = precision.of_window(model, votes(outcomes))
    assert np.isnan(found.value[5]).all()
    assert not np.isnan(whole.value[5]).all()
    assert np.abs(found.prior - BASE).max() < 0.02
    assert not found.changed.any()


def test_small_windows_are_added_up_but_not_without_end() -> None:
    window = votes(np.zeros((900, 4), dtype=np.int8))
    found = precision.pooled(repeat(window))
    assert found is not None
    assert (found.records, found.windows, found.gram.max()) == (2_700, 3, 2_700)
    assert precision.pooled(repeat(votes(np.zeros((80, 4), dtype=np.int8)))) is None
    assert precision.pooled([]) is None


def test_three_classes() -> None:
    rng = np.random.default_rng(6)
    three = unipolar(rng, 24, THREE, coverage=(0.05, 0.2))
    fitted = fit(three.draw(rng, 100_000, THREE)[1], 3)
    prior = np.array([0.3, 0.3, 0.4])
    found = precision.of_window(fitted, votes(three.draw(rng, 100_000, prior)[1], 3))
    truth = three.precision(prior)
    known = ~np.isnan(truth)
    assert np.abs(found.prior - prior).max() < 0.02
    assert np.abs(found.value - truth)[known].mean() < 0.02


def test_lfs_that_copy_each_other_are_found_and_not_used_on_each_other(
    world: World, model: LabelModel
) -> None:
    del model
    rng = np.random.default_rng(8)

    def with_a_copy(n: int) -> np.ndarray:
        outcomes = world.draw(rng, n, BASE)[1]
        copied = rng.random(n) < 0.5
        outcomes[copied, 7] = outcomes[copied, 5]
        return outcomes

    fitted = fit(with_a_copy(100_000), 2)
    assert np.argwhere(np.triu(fitted.dependent, 1)).tolist() == [[5, 7]]
    found = precision.of_window(fitted, votes(with_a_copy(100_000)))
    assert found.value[5, 1] == pytest.approx(world.precision(BASE)[5, 1], abs=0.05)


def test_too_little_is_known_is_no_figure(world: World, model: LabelModel) -> None:
    _, outcomes = world.draw(np.random.default_rng(3), 20_000, BASE)
    outcomes[:, 4] = ABSTAIN
    found = precision.of_window(model, votes(outcomes))
    assert np.isnan(found.value[4]).all(), "it has no votes"
    assert np.isnan(found.value[5, 0]), "it never votes for that class"
    alone = np.eye(20, dtype=np.bool_) | (np.arange(20)[:, None] != 6) & (np.arange(20) > 7)
    lonely = dataclasses.replace(model, dependent=alone | alone.T)
    weak = precision.of_window(lonely, votes(outcomes))
    assert weak.strength[9, 1] < found.strength[9, 1]


def test_an_empty_window_has_the_shares_of_the_baseline(model: LabelModel) -> None:
    found = precision.of_window(model, votes(np.empty((0, 20), dtype=np.int8)))
    assert found.prior.tolist() == model.prior.tolist()
    assert np.isnan(found.value).all()


@given(
    hnp.arrays(
        np.int8, st.tuples(st.integers(60, 90), st.integers(3, 5)), elements=st.integers(-2, 2)
    )
)
def test_no_votes_give_a_crash_or_a_figure_that_is_none(outcomes: np.ndarray) -> None:
    try:
        fitted = fit(outcomes, 3)
    except BaselineError:
        return
    found = precision.of_window(fitted, votes(outcomes, 3))
    assert np.isfinite(found.prior).all()
    for field in dataclasses.fields(found):
        if field.name == "ratios":
            assert np.isfinite(found.ratios.value).all()
            continue
        values = getattr(found, field.name)
        known = values[~np.isnan(values)]
        if field.name not in {"strength", "off", "sampling"}:
            assert ((known >= 0) & (known <= 1)).all()
