"""The label model: what the LFs say together about the class nobody has seen.

Dawid & Skene (1979), fitted by EM, with *abstain as a symbol of its own*: that an LF keeps silent
tells something, too. Without that, accuracies of LFs that vote for one class only are far off.
All accuracies are relative to the consensus of the LFs: a shift that fools every LF alike is not
seen without gold labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import counts_pairs
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.model import MIN_LFS, MIN_VOTES, LabelModel
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import ERROR, Outcomes

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]

DEPENDENT_Z: Final = 10.0
"""LFs that vote together this much more than their model says are not used on each other."""

PRIOR_COUNT: Final = 0.1
"""Records added to each cell, so that no probability is 0."""

START_ACCURACY: Final = 0.7
"""Precision of every vote that the first step assumes; it also says which class is which."""

TOLERANCE: Final = 1e-5
MOST_STEPS: Final = 500


def posterior(model: LabelModel, outcomes: Outcomes) -> Floats:
    """Return P(class | what the LFs said), float64 [n, K]; a failed LF says nothing."""
    one_hot = _OneHotVotes.of(outcomes, model.classes)
    return _posterior(one_hot, np.log(model.prior), np.log(model.emission), model.usable)


def identified(outcomes: Outcomes) -> bool:
    """Whether ``fit`` can tell right from wrong: enough LFs of int8 [n, m] vote often enough."""
    return int(((outcomes >= 0).sum(axis=0) >= MIN_VOTES).sum()) >= MIN_LFS


def fit(
    outcomes: Outcomes,
    classes: int,
    *,
    balance: Floats | None = None,
    weights: Floats | None = None,
    aside: Sequence[int] = (),
) -> LabelModel:
    """Fit by EM from int8 [n, m] outcomes; *balance* holds the class shares, if they are known.

    *aside*: columns that are judged, and judge nobody: a model that was trained on the other LFs
    says what they say, on every record, and would be taken for the truth.
    *weights*: positive float64 [n], how many records each row stands for; not given, all alike.
    BaselineError if there are fewer than three LFs that vote, or *balance* is not one of shares.
    """
    one_hot = _OneHotVotes.of(outcomes, classes)
    votes = one_hot.votes()
    usable = votes.sum(axis=1) >= MIN_VOTES
    usable[list(aside)] = False
    if usable.sum() < MIN_LFS:
        msg = (
            f"a label model needs at least {MIN_LFS} LFs with {MIN_VOTES} votes each; only "
            f"{int(usable.sum())} of {len(votes)} have them"
        )
        raise BaselineError(msg)
    prior = _checked_balance(balance, classes)
    weight = np.ones(len(outcomes)) if weights is None else weights / weights.mean()
    q = _posterior(one_hot, np.log(prior), np.log(_assumed(one_hot, weight, prior)), usable)
    emission = np.zeros((len(votes), classes + 1, classes))
    for _ in range(MOST_STEPS):
        before = emission
        # A row of weight 3 counts as three records that say the same.
        q *= weight[:, None]
        emission = _emission(one_hot, q)
        if balance is None:
            prior = (q.sum(axis=0) + PRIOR_COUNT) / (len(q) + PRIOR_COUNT * classes)
        q = _posterior(one_hot, np.log(prior), np.log(emission), usable)
        if float(np.abs(emission - before).max()) < TOLERANCE:
            break
    for column in aside:
        emission[column] = _beside(outcomes[:, [column]], q, weight, emission[column])
    # Kish: weights of 1, 1 and 4 are worth (1 + 1 + 4)² / (1 + 1 + 16) = 2 equal records.
    records = round(len(weight) ** 2 / float(weight @ weight))
    dependent = dependence(one_hot.pair_shares(weight), emission[:, :classes], prior, records)
    dependent[:, list(aside)] = True
    return LabelModel(prior, emission, votes, records, dependent)


def fit_if_identified(
    outcomes: Outcomes,
    classes: int,
    weights: Floats | None = None,
    aside: Sequence[int] = (),
) -> LabelModel | None:
    """Return ``fit``'s model, or None of LFs too few to have one, or too many to be counted so."""
    if not counts_pairs(outcomes.shape[1], classes):
        return None
    if not identified(np.delete(outcomes, list(aside), axis=1)):
        return None
    return fit(outcomes, classes, weights=weights, aside=aside)


def dependence(
    pair_shares: Floats, vote_emission: Floats, prior: Floats, records: int
) -> npt.NDArray[np.bool_]:
    """Return which LFs vote together more, or less, than their model says, bool [m, m].

    *pair_shares*: float64 [mK, mK], share of the records on which both votes are cast.
    """
    m, k, _ = vote_emission.shape
    flat = vote_emission.reshape(m * k, k)
    # Two LFs that vote SPAM on 60 % of spam and on 10 % of ham, half of each: together they are
    # due on ½·0.36 + ½·0.01 = 18.5 % of the records. 30 % of 10,000 is z = 30: they copy.
    expected = np.einsum("ak,bk,k->ab", flat, flat, prior)
    spread = np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / records)
    z = np.abs(pair_shares - expected) / spread
    strongest = z.reshape(m, k, m, k).max(axis=(1, 3))
    return np.asarray((strongest > DEPENDENT_Z) | np.eye(m, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class _OneHotVotes:
    """Votes as a sparse one-hot matrix, [n, mK], and failures, [n, m]."""

    psi: sparse.csr_array
    failed: sparse.csr_array
    lfs: int
    classes: int

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int) -> _OneHotVotes:
        n, m = outcomes.shape
        rows, columns = np.nonzero(outcomes >= 0)
        cell = columns * classes + outcomes[rows, columns].astype(np.int64)
        psi = sparse.csr_array((np.ones(len(rows)), (rows, cell)), shape=(n, m * classes))
        rows, columns = np.nonzero(outcomes == ERROR)
        failed = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, m))
        return cls(psi, failed, m, classes)

    def votes(self) -> npt.NDArray[np.int64]:
        counted = np.asarray(self.psi.sum(axis=0), dtype=np.int64)
        return counted.reshape(self.lfs, self.classes)

    def pair_shares(self, weight: Floats) -> Floats:
        """Return the weighted shares of records with both votes, float64 [mK, mK]."""
        weighted = self.psi.multiply(weight[:, None]).tocsr()
        return np.asarray((self.psi.T @ weighted).toarray() / weight.sum())


def _beside(outcomes: Outcomes, others: Floats, weight: Floats, start: Floats) -> Floats:
    """Return what one LF says of each class, float64 [K + 1, K], the others being as they are.

    *others*: P(class | what they said), float64 [n, K]. Counting its votes by that would make it
    look the less right the less they know; so what it says itself is weighed, too, by EM.
    """
    one_hot = _OneHotVotes.of(outcomes, others.shape[1])
    known = np.log(np.maximum(others, 1e-300))
    emission = start[None]
    for _ in range(MOST_STEPS):
        before = emission
        q = _posterior(one_hot, known, np.log(emission), np.array([True]))
        emission = _emission(one_hot, q * weight[:, None])
        if float(np.abs(emission - before).max()) < TOLERANCE:
            break
    return np.asarray(emission[0])


def _checked_balance(balance: Floats | None, classes: int) -> Floats:
    if balance is None:
        return np.full(classes, 1 / classes)
    given = np.asarray(balance, dtype=np.float64)
    if given.shape != (classes,) or not np.all(given > 0) or abs(given.sum() - 1) > 1e-6:  # noqa: PLR2004
        msg = f"the class balance must be {classes} positive shares that add up to 1, not {balance}"
        raise BaselineError(msg)
    return np.asarray(given / given.sum())


def _assumed(one_hot: _OneHotVotes, weight: Floats, prior: Floats) -> Floats:
    """Return emissions of LFs that vote as often as they do, and are right at START_ACCURACY."""
    k = one_hot.classes
    share = np.asarray(one_hot.psi.T @ weight).reshape(one_hot.lfs, k) / weight.sum()
    # EM finds either of two mirror images, spam called spam or ham called spam. Starting with
    # votes that are right at 0.7 picks the one in which LFs mean what they say.
    wrong = (1 - START_ACCURACY) / max(k - 1, 1)
    right = np.where(np.eye(k, dtype=bool), START_ACCURACY, wrong)  # P(class | vote)
    vote_emission = np.minimum(share[:, :, None] * right / prior, 1.0)
    vote_emission *= np.minimum(
        1.0, 0.99 / np.maximum(vote_emission.sum(axis=1, keepdims=True), 1e-12)
    )
    vote_emission = np.maximum(vote_emission, 1e-9)
    return np.concatenate([vote_emission, 1 - vote_emission.sum(axis=1, keepdims=True)], axis=1)


def _emission(one_hot: _OneHotVotes, q: Floats) -> Floats:
    """M step: how often each LF said what, by class; *q* holds the weights, too."""
    k = one_hot.classes
    votes = (one_hot.psi.T @ q).reshape(one_hot.lfs, k, k)
    # An LF that failed on a record said nothing there, and was not silent either: 8 votes on 10
    # records of a class with 2 failures are 8 of 8.
    present = q.sum(axis=0) - one_hot.failed.T @ q  # [m, K]: records on which it did not fail
    silent = np.maximum(present - votes.sum(axis=1), 0.0)
    counts = np.concatenate([votes, silent[:, None, :]], axis=1) + PRIOR_COUNT
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _posterior(
    one_hot: _OneHotVotes, log_prior: Floats, log_emission: Floats, usable: npt.NDArray[np.bool_]
) -> Floats:
    """E step. Each record starts from all LFs silent; votes and failures are the difference.

    *log_prior*: [K], or [n, K] where more is known of each record.
    """
    k = one_hot.classes
    logs = np.where(usable[:, None, None], log_emission, 0.0)
    # Most LFs abstain on most records. With 50 LFs of 2 % coverage a record differs from silence
    # in one vote, so the sparse product adds one term instead of 50.
    silent = logs[:, k]
    voted = (logs[:, :k] - silent[:, None, :]).reshape(-1, k)
    scores = one_hot.psi @ voted - one_hot.failed @ silent + (log_prior + silent.sum(axis=0))
    return np.asarray(special.softmax(scores, axis=1))
