"""The label model finds what made the votes, without having seen a label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.probes.simulated_votes import World, unipolar
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import dawid_skene
from tidegauge_probes.model import ABSTAIN, ERROR

BINARY = np.array([0.6, 0.4])
THREE = np.array([0.5, 0.3, 0.2])


@pytest.mark.parametrize("prior", [BINARY, THREE], ids=["two classes", "three classes"])
def test_accuracies_and_class_shares_are_found(prior: np.ndarray) -> None:
    """Mean error at most .003; each at most about the error of a labelled sample of that size."""
    rng = np.random.default_rng(7)
    world = unipolar(rng, 24, prior, coverage=(0.05, 0.15))
    y, outcomes = world.draw(rng, 60_000, prior)
    model = dawid_skene.fit(outcomes, len(prior))
    truth = world.precision(prior)
    own = ~np.isnan(truth)
    error = (model.precision() - truth)[own]
    assert abs(error.mean()) <= 0.003
    labelled = np.array(
        [(y[outcomes[:, i] == a] == a).mean() - truth[i, a] for i, a in np.argwhere(own)]
    )
    assert np.abs(error).mean() < 2 * np.abs(labelled).mean()
    assert np.abs(model.prior - prior).max() < 0.02


def test_an_abstain_that_depends_on_the_class_is_used() -> None:
    """Silence of LFs that nearly always vote for class 1 speaks for class 0."""
    says = np.zeros((5, 2, 2))
    says[:, 1] = [0.05, 0.9]
    rng = np.random.default_rng(3)
    y, outcomes = World(says).draw(rng, 5_000, BINARY)
    posterior = dawid_skene.fit(outcomes, 2).posterior(outcomes)
    assert (posterior.argmax(axis=1) == y).mean() > 0.98


def test_records_get_the_class_that_the_votes_speak_for() -> None:
    rng = np.random.default_rng(11)
    world = unipolar(rng, 30, BINARY, coverage=(0.2, 0.4))
    y, outcomes = world.draw(rng, 20_000, BINARY)
    posterior = dawid_skene.fit(outcomes, 2).posterior(outcomes)
    assert np.allclose(posterior.sum(axis=1), 1)
    majority = (outcomes == 1).sum(axis=1) > (outcomes == 0).sum(axis=1)
    by_model, by_majority = (posterior.argmax(axis=1) == y).mean(), (majority == y).mean()
    assert by_model > by_majority
    sure = posterior.max(axis=1) > 0.95
    assert (posterior.argmax(axis=1) == y)[sure].mean() > 0.95


def test_a_failed_lf_says_nothing() -> None:
    rng = np.random.default_rng(5)
    world = unipolar(rng, 12, BINARY, coverage=(0.1, 0.3))
    _, outcomes = world.draw(rng, 20_000, BINARY)
    broken = outcomes.copy()
    broken[rng.random(len(broken)) < 0.5, 0] = ERROR
    whole, half = dawid_skene.fit(outcomes, 2), dawid_skene.fit(broken, 2)
    assert np.abs(whole.emission - half.emission).max() < 0.03
    only = np.full((1, 12), ABSTAIN, dtype=np.int8)
    failed = only.copy()
    failed[0, 0] = ERROR
    silence = whole.emission[0, 2] / whole.emission[0, 2].sum()
    ratio = whole.posterior(only)[0] / whole.posterior(failed)[0]
    assert np.allclose(ratio / ratio.sum(), silence)


def test_rows_that_stand_for_several_records_count_as_those_records() -> None:
    """One class is drawn four times as often as the other; weights undo that."""
    rng = np.random.default_rng(6)
    world = unipolar(rng, 12, BINARY, coverage=(0.1, 0.3))
    y, outcomes = world.draw(rng, 30_000, BINARY)
    chance = np.where(y == 1, 0.8, 0.2)
    drawn = rng.random(len(y)) < chance
    model = dawid_skene.fit(outcomes[drawn], 2, weights=1 / chance[drawn])
    naive = dawid_skene.fit(outcomes[drawn], 2)
    assert np.abs(model.prior - BINARY).max() < 0.04
    assert np.abs(naive.prior - BINARY).max() > 0.2
    truth = world.precision(BINARY)
    assert np.abs(model.precision() - truth)[~np.isnan(truth)].mean() < 0.03
    assert model.records < drawn.sum()


def test_a_weight_is_as_good_as_a_copy() -> None:
    rng = np.random.default_rng(8)
    _, outcomes = unipolar(rng, 6, BINARY, coverage=(0.2, 0.4)).draw(rng, 2_000, BINARY)
    times = rng.integers(1, 4, size=len(outcomes))
    weighted = dawid_skene.fit(outcomes, 2, weights=times.astype(np.float64))
    copied = dawid_skene.fit(np.repeat(outcomes, times, axis=0), 2)
    assert np.allclose(weighted.prior, copied.prior, atol=1e-3)
    assert np.allclose(weighted.emission, copied.emission, atol=1e-2)


def test_a_voter_that_stands_aside_is_known_and_changes_nothing() -> None:
    """A deployed model: what it says of each class is found, and the LFs are as without it."""
    rng = np.random.default_rng(5)
    lfs = unipolar(np.random.default_rng(1), 12, BINARY, coverage=(0.1, 0.3))
    says = np.array([[[0.93, 0.2], [0.07, 0.8]]])
    _, outcomes = World(np.concatenate([lfs.says, says])).draw(rng, 50_000, BINARY)
    alone = dawid_skene.fit(outcomes[:, :12], 2)
    found = dawid_skene.fit(outcomes, 2, aside=[12])
    assert found.emission[:12] == pytest.approx(alone.emission, abs=1e-9)
    assert found.prior == pytest.approx(alone.prior, abs=1e-9)
    assert found.emission[12, :2] == pytest.approx(says[0], abs=0.03)
    assert not found.dependent[12, :12].any(), "independent of the LFs, given the class"
    assert not found.witnesses[12]


def test_shares_that_are_known_are_kept() -> None:
    rng = np.random.default_rng(2)
    world = unipolar(rng, 9, BINARY, coverage=(0.1, 0.3))
    _, outcomes = world.draw(rng, 5_000, BINARY)
    assert dawid_skene.fit(outcomes, 2, balance=BINARY).prior.tolist() == BINARY.tolist()


@pytest.mark.parametrize("balance", [[0.5], [0.7, 0.7], [1.0, 0.0], [np.nan, 0.5]])
def test_shares_that_are_none_are_refused(balance: list[float]) -> None:
    outcomes = np.zeros((100, 4), dtype=np.int8)
    with pytest.raises(BaselineError, match="2 positive shares"):
        dawid_skene.fit(outcomes, 2, balance=np.array(balance))


def test_two_lfs_are_too_few() -> None:
    outcomes = np.zeros((100, 5), dtype=np.int8)
    outcomes[:, 2:] = ABSTAIN
    with pytest.raises(BaselineError, match="only 2 of 5 LFs have that many"):
        dawid_skene.fit(outcomes, 2)


def test_an_lf_that_hardly_votes_has_no_weight() -> None:
    rng = np.random.default_rng(4)
    world = unipolar(rng, 8, BINARY, coverage=(0.1, 0.3))
    _, outcomes = world.draw(rng, 5_000, BINARY)
    outcomes[:, 3] = ABSTAIN
    outcomes[0, 3] = 1
    model = dawid_skene.fit(outcomes, 2)
    assert not model.usable[3]
    without = outcomes.copy()
    without[0, 3] = ABSTAIN
    assert np.allclose(model.posterior(outcomes), model.posterior(without))


@given(
    hnp.arrays(
        np.int8, st.tuples(st.integers(60, 120), st.integers(3, 6)), elements=st.integers(-2, 2)
    )
)
def test_no_votes_give_nan_or_a_crash(outcomes: np.ndarray) -> None:
    try:
        model = dawid_skene.fit(outcomes, 3)
    except BaselineError:
        return
    assert np.isfinite(model.emission).all()
    assert np.allclose(model.emission.sum(axis=1), 1)
    assert np.isfinite(model.posterior(outcomes)).all()
