"""Our label model beside Snorkel's ``LabelModel``: what they learn, and how one becomes the other.

Needs torch, with which Snorkel's is fitted. The command that imports one is to be tested here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.parity.required import needed
from tests.probes.simulated_votes import World, unipolar
from tests.snorkel_stub import Snorkel
from tidegauge_probes import ERROR, LabelingFunction, ProbeSet, engine
from tidegauge_probes.label_model import dawid_skene
from tidegauge_probes.label_model.dawid_skene import DawidSkene

torch = needed("torch")

RECORDS = 8_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Votes whose truth is known. ``votes``: int64, as Snorkel has them."""

    truth: npt.NDArray[np.int64]
    votes: npt.NDArray[np.int64]
    prior: Floats
    world: World

    @property
    def emission(self) -> Floats:
        """P(LF says s | class), abstain last, as ``DawidSkene.emission``."""
        says = self.world.says
        return np.concatenate([says, 1 - says.sum(axis=1, keepdims=True)], axis=1)


def bipolar(rng: np.random.Generator, lfs: int, classes: int) -> World:
    """Return LFs that vote for all classes, right with .65 to .9, on 15 to 50 % of the records."""
    says = np.zeros((lfs, classes, classes))
    for each in says:
        accuracy, coverage = rng.uniform(0.65, 0.9), rng.uniform(0.15, 0.5)
        each[:] = coverage * (1 - accuracy) / (classes - 1)
        np.fill_diagonal(each, coverage * accuracy)
    return World(says)


def sample(seed: int, prior: list[float], lfs: int, *, one_class_each: bool = False) -> Sample:
    rng, p = np.random.default_rng(seed), np.array(prior)
    world = (
        unipolar(rng, lfs, p, coverage=(0.1, 0.3))
        if one_class_each
        else bipolar(rng, lfs, len(prior))
    )
    truth, votes = world.draw(rng, RECORDS, p)
    return Sample(truth, votes.astype(np.int64), p, world)


SAMPLES = {
    "two classes": sample(1, [0.6, 0.4], 10),
    "unbalanced": sample(2, [0.8, 0.2], 12),
    "three classes": sample(3, [0.5, 0.3, 0.2], 12),
    "unipolar": sample(4, [0.55, 0.45], 12, one_class_each=True),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Both:
    """The same votes under both models."""

    given: Sample
    ours: DawidSkene
    theirs: Any

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        return np.asarray((self.given.votes >= 0).any(axis=1))


def their_fit(snorkel: Snorkel, votes: Any, prior: Floats) -> Any:
    model = snorkel.labeling.model.LabelModel(cardinality=len(prior), verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy's and torch's newer versions
        model.fit(votes, class_balance=prior.tolist(), n_epochs=500, seed=1, progress_bar=False)
    return model


@pytest.fixture(scope="module", params=SAMPLES)
def both(request: pytest.FixtureRequest, snorkel: Snorkel) -> Both:
    given = SAMPLES[request.param]
    ours = dawid_skene.fit(given.votes.astype(np.int8), len(given.prior), balance=given.prior)
    return Both(given, ours, their_fit(snorkel, given.votes, given.prior))


def their_emission(model: Any) -> Floats:
    """Return Snorkel's tables with the abstain last, as ours have it."""
    return np.asarray(np.roll(model.get_conditional_probs(), -1, axis=1), dtype=np.float64)


def test_torch_is_the_real_one() -> None:
    assert float(torch.tensor([1.0, 2.0]).sum()) == 3.0


def test_both_give_the_same_labels(both: Both) -> None:
    votes = both.given.votes
    theirs = both.theirs.predict_proba(votes)
    ours = both.ours.posterior(votes.astype(np.int8))
    sure = both.covered & (np.maximum(theirs.max(axis=1), ours.max(axis=1)) > 0.9)
    assert sure.mean() > 0.2
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1))[sure].mean() > 0.98
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1))[both.covered].mean() > 0.9


def test_ours_is_as_often_right(both: Both) -> None:
    truth, votes = both.given.truth, both.given.votes
    theirs = both.theirs.predict_proba(votes).argmax(axis=1) == truth
    ours = both.ours.posterior(votes.astype(np.int8)).argmax(axis=1) == truth
    assert ours[both.covered].mean() > theirs[both.covered].mean() - 0.005


def test_ours_is_as_near_to_what_the_lfs_do(both: Both) -> None:
    ours = np.abs(both.ours.emission - both.given.emission).mean()
    theirs = np.abs(their_emission(both.theirs) - both.given.emission).mean()
    assert ours < 0.02
    assert ours < theirs + 0.002


def converted(theirs: Any, votes: npt.NDArray[np.int64]) -> DawidSkene:
    """Make Snorkel's model ours: to it, an LF that abstains says nothing at all.

    So the abstain's row holds the same number for each class, and drops out of the posterior.
    """
    emission = their_emission(theirs)
    emission[:, -1] = 1.0
    m, _, k = emission.shape
    counted = np.stack([(votes == label).sum(axis=0) for label in range(k)], axis=1)
    prior = np.asarray(theirs.p, dtype=np.float64)
    return DawidSkene(prior, emission, counted, len(votes), np.eye(m, dtype=np.bool_))


def test_snorkels_parameters_give_snorkels_posterior_here(both: Both) -> None:
    votes = both.given.votes
    imported = converted(both.theirs, votes)
    ours = imported.posterior(votes.astype(np.int8))
    np.testing.assert_allclose(ours, both.theirs.predict_proba(votes), atol=1e-5)
    silent = imported.posterior(np.full((1, votes.shape[1]), -1, dtype=np.int8))
    np.testing.assert_allclose(silent[0], both.given.prior, atol=1e-6)


def test_our_votes_train_snorkels_model(snorkel: Snorkel) -> None:
    """The other direction: a matrix of the engine, failures shown as abstains, is an L."""
    given = SAMPLES["two classes"]
    said = given.votes.copy()
    said[::50, 0] = ERROR
    records = [{"said": row.tolist()} for row in said[:4_000]]

    def voter(place: int) -> LabelingFunction:
        return LabelingFunction(f"lf{place}", lambda x: x.said[place])

    lfs = [voter(place) for place in range(said.shape[1])]
    matrix = engine.run(ProbeSet.of(lfs, cardinality=2), records)
    assert (matrix.outcomes == said[:4_000]).all()
    assert (matrix.votes == np.maximum(said[:4_000], -1)).all()
    model = their_fit(snorkel, matrix.votes, given.prior)
    plain = their_fit(snorkel, np.maximum(said[:4_000], -1), given.prior)
    np.testing.assert_array_equal(
        model.predict_proba(matrix.votes), plain.predict_proba(np.maximum(said[:4_000], -1))
    )


def test_a_never_voting_lf_weighs_nothing_here_and_fully_there(snorkel: Snorkel) -> None:
    given = SAMPLES["two classes"]
    votes = np.hstack([given.votes, np.full((RECORDS, 1), -1)])
    ours = dawid_skene.fit(votes.astype(np.int8), 2, balance=given.prior)
    theirs = their_fit(snorkel, votes, given.prior)
    with np.errstate(divide="ignore"):  # by its coverage of 0
        assert theirs.get_weights()[-1] == pytest.approx(1.0)
    assert not ours.usable[-1]
    assert np.isnan(ours.precision()[-1]).all()
