"""Which kind of label model votes allow, and what does not depend on how they are written down."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probes.simulated_votes import World, pane, unipolar
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, LabelModelKind, dawid_skene, fit, precision
from tidegauge_probes.label_model.parts import arrays
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import ABSTAIN, ERROR, Outcomes

MIX = np.array([0.6, 0.4])
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def draw(seed: int, n: int = 6_000, lfs: int = 12) -> tuple[Ints, Outcomes]:
    """Return classes and votes of LFs that are independent given the class."""
    world = unipolar(np.random.default_rng(seed), lfs, MIX, coverage=(0.1, 0.3))
    return world.draw(np.random.default_rng(seed + 1), n, MIX)


def with_activity(seed: int, n: int = 6_000) -> tuple[Ints, Outcomes]:
    """Return the same where half of the records wake no LF, and the others many."""
    world = unipolar(np.random.default_rng(seed), 12, MIX, coverage=(0.2, 0.5))
    y, votes = world.draw(np.random.default_rng(seed + 1), n, MIX)
    votes[: n // 2] = ABSTAIN
    return y, votes


def copies(seed: int) -> tuple[Ints, Outcomes]:
    """Return the same where three LFs say what a fourth says."""
    y, votes = draw(seed)
    votes[:, [2, 4, 6]] = votes[:, [0]]
    return y, votes


def guesses(n: int = 4_000) -> Outcomes:
    """Return votes that know nothing of each other."""
    rng = np.random.default_rng(3)
    votes = rng.integers(0, 2, (n, 8)).astype(np.int8)
    votes[rng.random(votes.shape) < 0.7] = ABSTAIN
    return votes


# -- Which kind -----------------------------------------------------------------------------------


def test_independent_lfs_may_count_silence() -> None:
    y, votes = draw(1)
    model = fit(votes, 2)
    assert model.kind is LabelModelKind.FULL
    assert model.prior[1] == pytest.approx((y == 1).mean(), abs=0.04)
    assert model.shares_followed
    assert not np.isnan(model.shown[np.arange(12), np.arange(12) % 2]).any()


@pytest.mark.parametrize("made", [with_activity, copies])
def test_what_silence_does_not_tell_is_not_told(made: object) -> None:
    """Dawid-Skene takes the silent records for a class; their share is told to nobody."""
    assert callable(made)
    y, votes = made(1)
    model = fit(votes, 2)
    assert model.kind is LabelModelKind.VOTES
    assert (model.levels, model.shares_known, model.shares_followed) == (False, False, False)
    assert model.compares
    covered = (votes >= 0).any(axis=1)
    assert abs(model.prior[1] - (y[covered] == 1).mean()) < 1.96 * model.prior_sd[1]


def test_half_of_the_records_asleep_are_no_class() -> None:
    """The shares of Dawid-Skene are wrong; those of covered records are within their interval."""
    y, votes = with_activity(1)
    truth = (y[(votes >= 0).any(axis=1)] == 1).mean()
    assert abs(dawid_skene.fit(votes, 2).prior[1] - (y == 1).mean()) > 0.05
    model = fit(votes, 2)
    assert abs(model.prior[1] - truth) < 1.96 * model.prior_sd[1]


def majority(votes: Outcomes, y: Ints) -> float:
    """Return how often the majority is right; a tie is right by chance."""
    counted = np.stack([(votes == k).sum(axis=1) for k in range(2)], axis=1)
    most = counted == counted.max(axis=1, keepdims=True)
    return float((most[np.arange(len(y)), y] / most.sum(axis=1)).mean())


def test_guesses_are_the_majoritys() -> None:
    votes = guesses()
    model = fit(votes, 2)
    assert model.kind is LabelModelKind.MAJORITY
    assert (model.compares, model.levels, model.shares_known) == (False, False, False)
    assert np.isnan(model.shown).all()
    zeros, ones = ((votes == k).sum(axis=1) for k in range(2))
    q = model.posterior(votes)
    assert (q[zeros > ones, 0] > 0.5).all()
    assert (q[zeros < ones, 1] > 0.5).all()
    assert q[zeros == ones] == pytest.approx(0.5)


def test_of_a_majority_nothing_is_told_of_a_window() -> None:
    votes = guesses()
    model = fit(votes, 2)
    votes[:, 0] = 1
    found = precision.of_window(model, PairCounts.of(pane(votes, 2)))
    assert np.isnan(found.value).all()
    assert not found.changed.any()
    assert found.ratios.value.tolist() == [1, 1]
    assert found.prior.tolist() == model.prior.tolist()


def test_one_lf_per_class_is_the_majoritys() -> None:
    """Every overlap is a conflict: nothing tells a right LF from a wrong one."""
    world = unipolar(np.random.default_rng(2), 3, np.full(3, 1 / 3), coverage=(0.3, 0.5))
    _, votes = world.draw(np.random.default_rng(3), 5_000, np.full(3, 1 / 3))
    assert fit(votes, 3).kind is LabelModelKind.MAJORITY


# -- Gold labels and given shares -----------------------------------------------------------------


@pytest.mark.parametrize("labels", [100, 400])
def test_gold_labels_give_shares_of_all_records(labels: int) -> None:
    y, votes = with_activity(5)
    gold = np.full(len(y), ABSTAIN)
    some = np.random.default_rng(6).choice(len(y), labels, replace=False)
    gold[some] = y[some]
    model = fit(votes, 2, gold=gold)
    assert (model.labels, model.levels, model.shares_known) == (labels, True, True)
    assert model.shares_followed == (labels >= 200)
    assert abs(model.prior[1] - (y == 1).mean()) < 1.96 * model.prior_sd[1] < 0.12
    assert model.prior.sum() == pytest.approx(1)


def test_gold_labels_tell_precision_where_the_votes_do_not() -> None:
    """Nine LFs of three classes, of which one names the wrong one."""
    rng = np.random.default_rng(8)
    y = rng.integers(0, 2, 5_000)
    votes = np.where(rng.random((5_000, 8)) < 0.7, y[:, None], 1 - y[:, None]).astype(np.int8)
    votes[:, 0] = np.where(rng.random(5_000) < 0.1, y, 1 - y)
    votes[rng.random(votes.shape) < 0.8] = ABSTAIN
    gold = np.where(np.arange(5_000) % 4 == 0, y, ABSTAIN)
    model = fit(votes, 2, gold=gold)
    truth = np.array([[(y == k)[votes[:, i] == k].mean() for k in range(2)] for i in range(8)])
    assert model.shown == pytest.approx(truth, abs=0.1)
    sd = model.sd.reshape(8, 2)
    assert (np.abs(model.precision() - truth) < 1.96 * sd).mean() > 0.9


def test_shares_that_are_given_are_kept_and_name_themselves() -> None:
    _, votes = with_activity(5)
    model = fit(votes, 2, balance=MIX)
    assert model.prior.tolist() == MIX.tolist()
    assert (model.given, model.shares_known, model.levels) == (True, True, False)
    assert not model.shares_followed


@pytest.mark.parametrize(
    ("gold", "says"),
    [
        (np.ones(4_000, np.int64), "the 4000 gold labels cover only 1 of 2 classes"),
        (np.full(4_000, -1), "the 0 gold labels cover only 0 of 2 classes"),
        (np.full(4_000, 2), "must be in -1…1, not 2 to 2"),
        (np.zeros(3, np.int64), "must be 4000 integers"),
        (np.zeros(4_000), "must be 4000 integers"),
    ],
)
def test_gold_labels_that_are_none_are_refused(gold: Ints, says: str) -> None:
    with pytest.raises(BaselineError, match=says):
        fit(guesses(), 2, gold=gold)


def test_a_deployed_model_is_no_witness() -> None:
    """With it or without, the LFs are the same; what it says is known, too."""
    y, votes = with_activity(9)
    rng = np.random.default_rng(1)
    says = np.where(rng.random(len(y)) < 0.9, y, 1 - y).astype(np.int8)
    alone = fit(votes, 2)
    beside = fit(np.column_stack([votes, says]), 2, aside=[12])
    assert beside.kind is alone.kind
    assert beside.pi[:24] == pytest.approx(alone.pi, abs=1e-9)
    assert beside.prior == pytest.approx(alone.prior, abs=1e-9)
    assert not beside.witnesses[12]
    assert beside.witnesses[:12].all()
    covered = (votes >= 0).any(axis=1)
    assert beside.precision()[12, 0] == pytest.approx(
        (y == 0)[covered & (says == 0)].mean(), abs=0.1
    )


def test_a_voter_that_always_says_the_same_is_no_witness_of_anything() -> None:
    """A constant LF tells no class from another: nobody looks more or less right for it."""
    _, votes = draw(11)
    constant = np.ones(len(votes), dtype=np.int8)
    alone = fit(votes, 2)
    with_it = fit(np.column_stack([votes, constant]), 2)
    own = np.arange(12) * 2 + np.arange(12) % 2
    assert np.abs(with_it.right[own] - alone.right[own]).max() < 0.1


# -- What does not matter -------------------------------------------------------------------------


def worlds() -> st.SearchStrategy[Outcomes]:
    """Draw votes of each kind: of independent LFs, of sleepers and copies, of guesses."""
    made = (lambda seed: draw(seed, 2_000)[1], lambda seed: with_activity(seed, 2_000)[1],
            lambda seed: copies(seed)[1][:2_000], lambda _: guesses(1_500))  # fmt: skip
    return st.builds(lambda make, seed: make(seed), st.sampled_from(made), st.integers(0, 50))


@given(worlds(), st.integers(0, 99))
@settings(max_examples=12)
def test_the_order_of_records_changes_no_byte(votes: Outcomes, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(votes))
    same_bytes(fit(votes, 2), fit(votes[order], 2))


def same_bytes(one: LabelModel, other: LabelModel) -> None:
    ours, theirs = arrays(one), arrays(other)
    assert one.kind is other.kind
    assert {name: a.tobytes() for name, a in ours.items()} == {
        name: a.tobytes() for name, a in theirs.items()
    }


@given(worlds(), st.integers(0, 99))
@settings(max_examples=12)
def test_permuted_lfs_have_permuted_figures(votes: Outcomes, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(votes.shape[1])
    one, other = fit(votes, 2), fit(votes[:, order], 2)
    assert one.kind is other.kind
    assert other.precision() == pytest.approx(one.precision()[order], abs=1e-3, nan_ok=True)
    assert other.prior == pytest.approx(one.prior, abs=1e-3)
    sd = one.sd.reshape(-1, 2)[order].ravel()
    assert other.sd == pytest.approx(sd, abs=1e-3, nan_ok=True)


@given(worlds())
@settings(max_examples=12)
def test_swapped_classes_have_swapped_figures(votes: Outcomes) -> None:
    swapped = np.where(votes >= 0, 1 - votes, votes).astype(np.int8)
    one, other = fit(votes, 2), fit(swapped, 2)
    assert one.kind is other.kind
    assert other.prior == pytest.approx(one.prior[::-1], abs=1e-3)
    assert other.precision() == pytest.approx(one.precision()[:, ::-1], abs=1e-3, nan_ok=True)
    assert other.posterior(swapped) == pytest.approx(one.posterior(votes)[:, ::-1], abs=2e-3)


def silent(n: int, m: int = 4) -> Outcomes:
    return np.full((n, m), ABSTAIN, dtype=np.int8)


def odd() -> dict[str, tuple[Outcomes, int]]:
    """Return votes that have something of everything."""
    _, votes = draw(1, 500)
    never, always = votes.copy(), votes.copy()
    never[:, 3], always[:, 3] = ABSTAIN, 1
    failing = votes.copy()
    failing[:, 3] = ERROR
    wide = unipolar(np.random.default_rng(1), 164, MIX, coverage=(0.01, 0.1))
    return {
        "an LF that never votes": (never, 2),
        "one that always does": (always, 2),
        "one that always fails": (failing, 2),
        "one class": (np.where(votes >= 0, 0, votes).astype(np.int8), 1),
        "a class without votes": (votes, 3),
        "one record": (votes[:1], 2),
        "no record": (votes[:0], 2),
        "all silent": (silent(100), 2),
        "164 LFs": (wide.draw(np.random.default_rng(2), 1_000, MIX)[1], 2),
        "all alike": (np.ones((300, 4), dtype=np.int8), 2),
    }


@pytest.mark.parametrize("name", odd())
def test_nothing_odd_gives_nan_or_a_crash(name: str) -> None:
    votes, classes = odd()[name]
    model = fit(votes, classes)
    assert np.isfinite(model.pi).all()
    assert model.pi.sum(axis=1) == pytest.approx(1)
    assert model.prior.sum() == pytest.approx(1)
    some = votes if len(votes) else silent(1, votes.shape[1])
    assert np.isfinite(model.posterior(some)).all()
    found = precision.of_window(model, PairCounts.of(pane(votes, classes)))
    assert np.isfinite(found.prior).all()
    assert np.isfinite(found.ratios.value).all()
    assert not found.changed.any(), "a window of the baseline's own records"


def test_adversarial_lfs_are_told_from_right_ones() -> None:
    """One LF in eight is wrong in four of five; the other LFs say so."""
    says = np.zeros((8, 2, 2))
    says[:] = np.array([[0.4, 0.1], [0.1, 0.4]])
    says[0] = says[0][::-1] * 0.8
    y, votes = World(says).draw(np.random.default_rng(1), 8_000, MIX)
    model = fit(votes, 2)
    assert model.right[:2].max() < 0.5 < model.right[2:].min()
    covered = (votes >= 0).any(axis=1)
    right = (model.posterior(votes[covered]).argmax(axis=1) == y[covered]).mean()
    assert right > majority(votes[covered], y[covered]) + 0.02
