"""Dawid & Skene (1979), fitted by EM, with *abstain as a symbol of its own*.

An LF's silence says something about the class, too; for LFs that vote for one class each, nothing
else does. But on real votes silence depends on much else: long texts wake many LFs, a blind spot
wakes none. So this model is used only where its predictions of silence hold (``silence``). All
accuracies are relative to the consensus of the LFs: without gold labels, a shift that fools every
LF in the same way is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.limits import MIN_LFS, MIN_VOTES
from tidegauge_probes.label_model.rows import DistinctRows, log_sum, one_hot, softmax
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import ERROR, Outcomes

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEPENDENT_Z: Final = 10.0
"""LFs that vote together this much more often than their model predicts are not used to evaluate
each other."""

PRIOR_COUNT: Final = 0.1
"""Records added to each cell, so that no probability is 0."""

START_ACCURACY: Final = 0.7
"""Precision of every vote that the first step assumes; it also fixes which class is which."""

TOLERANCE: Final = 1e-5
MOST_STEPS: Final = 500


@dataclass(frozen=True, eq=False)
class DawidSkene:
    """Class shares, and how often each LF says what about each class.

    ``prior``: float64 [K]. ``emission``: float64 [m, K + 1, K], P(LF i says s | class k), where
    symbol K is an abstain; columns over s sum to 1. ``votes``: int64 [m, K], votes it was fitted
    from. ``records``: how many records it was fitted from; if they had weights, the number of
    equally weighted records that are worth the same (Kish). ``dependent``: bool [m, m], LFs that
    are not independent given the class; the diagonal is True.
    """

    prior: Floats
    emission: Floats
    votes: npt.NDArray[np.int64]
    records: int
    dependent: npt.NDArray[np.bool_]

    @property
    def classes(self) -> int:
        """Number of classes, K."""
        return len(self.prior)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """LFs that voted often enough to be known and to evaluate others, bool [m]."""
        return np.asarray((self.votes.sum(axis=1) >= MIN_VOTES) & self.witnesses)

    @property
    def witnesses(self) -> npt.NDArray[np.bool_]:
        """LFs that may evaluate others, bool [m]: not those that depend on all."""
        return np.asarray(~self.dependent.all(axis=0))

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Votes that were cast often enough to be known, bool [m, K]."""
        return np.asarray(self.votes >= MIN_VOTES)

    @property
    def vote_emission(self) -> Floats:
        """Return P(LF i votes a | class k), float64 [mK, K]."""
        return self.emission[:, : self.classes].reshape(-1, self.classes)

    def precision(self, prior: Floats | None = None) -> Floats:
        """Return P(class k | LF i votes k), float64 [m, K]; NaN for votes that are too rare.

        *prior*: class shares to use instead of the model's, float64 [K].
        """
        says = self.emission[:, : self.classes] * (self.prior if prior is None else prior)
        right, of = np.einsum("ikk->ik", says), says.sum(axis=2)  # says: [m, symbol, class]
        known = self.known & (of > 0)
        return np.asarray(np.divide(right, of, out=np.full_like(of, np.nan), where=known))

    def gain(self, rows: DistinctRows) -> float:
        """Return by how many standard errors classes explain more than independent votes would.

        That is the mean over records of log Σ_k p_k Π_i e_{i, symbol, k} / Π_i Σ_k p_k
        e_{i, symbol, k}.
        """
        said, one = _Said.of_rows(rows), np.zeros(1)
        together = (self.emission @ self.prior)[:, :, None]
        scores = _scores(said, np.log(self.prior), np.log(self.emission), self.usable)
        alone = _scores(said, one, np.log(together), self.usable)[:, 0]
        ratio = log_sum(scores) - alone
        mean = float(np.average(ratio, weights=rows.weight))
        spread = float(np.average((ratio - mean) ** 2, weights=rows.weight))
        return mean / float(np.sqrt(spread / rows.weight.sum() + 1e-12))

    def posterior(self, outcomes: Outcomes) -> Floats:
        """Return P(class | outcomes), float64 [n, K]; a failed LF says nothing."""
        said = _Said.of(outcomes, self.classes)
        return _posterior(said, np.log(self.prior), np.log(self.emission), self.usable)


def identified(outcomes: Outcomes) -> bool:
    """Whether enough LFs of int8 [n, m] vote often enough for a label model."""
    return int(((outcomes >= 0).sum(axis=0) >= MIN_VOTES).sum()) >= MIN_LFS


def fit(
    outcomes: Outcomes,
    classes: int,
    *,
    balance: Floats | None = None,
    weights: Floats | None = None,
    aside: Sequence[int] = (),
) -> DawidSkene:
    """Fit by EM from int8 [n, m] outcomes; *balance* holds the class shares, if they are known.

    *aside*: columns that are evaluated but evaluate no others: a model trained on the other LFs
    repeats what they say on every record, and would be mistaken for the truth.
    *weights*: positive float64 [n], how many records each row stands for; all equal by default.
    BaselineError if fewer than three LFs vote, or if *balance* does not hold class shares.
    """
    rows = DistinctRows.of(outcomes, classes, weights)
    return fit_rows(rows, balance=balance, aside=aside)


def fit_rows(
    rows: DistinctRows,
    *,
    balance: Floats | None = None,
    aside: Sequence[int] = (),
    start: Floats | None = None,
) -> DawidSkene:
    """Fit as ``fit`` does. *start*: the initial P(class | row), float64 [u, K]."""
    said, weight, classes = _Said.of_rows(rows), rows.weight, rows.classes
    votes = said.votes(rows.times)
    usable = votes.sum(axis=1) >= MIN_VOTES
    usable[list(aside)] = False
    if usable.sum() < MIN_LFS:
        msg = (
            f"a label model needs at least {MIN_LFS} LFs with {MIN_VOTES} votes each, "
            f"but only {int(usable.sum())} of {len(votes)} LFs have that many"
        )
        raise BaselineError(msg)
    prior = checked_balance(balance, classes)
    if start is None:
        start = _posterior(said, np.log(prior), np.log(_assumed(said, weight, prior)), usable)
    q, emission = start, np.zeros((len(votes), classes + 1, classes))
    for _ in range(MOST_STEPS):
        before = emission
        q = q * weight[:, None]
        emission = _emission(said, q)
        if balance is None:
            prior = (q.sum(axis=0) + PRIOR_COUNT) / (weight.sum() + PRIOR_COUNT * classes)
        q = _posterior(said, np.log(prior), np.log(emission), usable)
        if float(np.abs(emission - before).max()) < TOLERANCE:
            break
    for column in aside:
        emission[column] = _beside(rows.outcomes[:, [column]], q, weight, emission[column])
    together = rows.together / max(weight.sum(), 1e-12)
    dependent = dependence(together, emission[:, :classes], prior, rows.records)
    dependent[:, list(aside)] = True
    return DawidSkene(prior, emission, votes, rows.records, dependent)


def dependence(
    together: Floats, says: Floats, prior: Floats, records: int
) -> npt.NDArray[np.bool_]:
    """Return which LFs vote together more, or less, often than their model predicts, bool [m, m].

    *together*: float64 [mK, mK], share of the records on which both votes are cast.
    """
    m, k, _ = says.shape
    flat = says.reshape(m * k, k)
    expected = np.einsum("ak,bk,k->ab", flat, flat, prior)
    spread = np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / records)
    z = np.abs(together - expected) / spread
    strongest = z.reshape(m, k, m, k).max(axis=(1, 3))
    return np.asarray((strongest > DEPENDENT_Z) | np.eye(m, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class _Said:
    """Votes as a sparse one-hot matrix, [n, mK], and failures, [n, m]."""

    psi: sparse.csr_array
    failed: sparse.csr_array
    lfs: int
    classes: int

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int) -> _Said:
        psi, m = one_hot(outcomes, classes), outcomes.shape[1]
        return cls(psi, _failures(outcomes), m, classes)

    @classmethod
    def of_rows(cls, rows: DistinctRows) -> _Said:
        return cls(rows.psi, _failures(rows.outcomes), rows.outcomes.shape[1], rows.classes)

    def votes(self, times: Ints) -> Ints:
        counted = np.asarray(self.psi.T @ times, dtype=np.int64)
        return counted.reshape(self.lfs, self.classes)


def _failures(outcomes: Outcomes) -> sparse.csr_array:
    """Return ones where an LF failed, [n, m]."""
    if not outcomes.size or outcomes.min() > ERROR:
        return sparse.csr_array(outcomes.shape)
    rows, columns = np.nonzero(outcomes == ERROR)
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=outcomes.shape)


def _beside(outcomes: Outcomes, others: Floats, weight: Floats, start: Floats) -> Floats:
    """Return one LF's emissions, float64 [K + 1, K], with the other LFs fixed.

    *others*: P(class | what the others said), float64 [n, K]. Counting this LF's votes by that
    alone would make it look less accurate the less the others know, so EM weighs in its own votes,
    too.
    """
    said = _Said.of(outcomes, others.shape[1])
    known = np.log(np.maximum(others, 1e-300))
    emission = start[None]
    for _ in range(MOST_STEPS):
        before = emission
        q = _posterior(said, known, np.log(emission), np.array([True]))
        emission = _emission(said, q * weight[:, None])
        if float(np.abs(emission - before).max()) < TOLERANCE:
            break
    return np.asarray(emission[0])


def checked_balance(balance: Floats | None, classes: int) -> Floats:
    """Return class shares that add up to 1, equal ones if none are given; BaselineError if bad."""
    if balance is None:
        return np.full(classes, 1 / classes)
    given = np.asarray(balance, dtype=np.float64)
    if given.shape != (classes,) or not np.all(given > 0) or abs(given.sum() - 1) > 1e-6:  # noqa: PLR2004
        msg = f"the class balance must be {classes} positive shares that add up to 1, not {balance}"
        raise BaselineError(msg)
    return np.asarray(given / given.sum())


def _assumed(said: _Said, weight: Floats, prior: Floats) -> Floats:
    """Return emissions of LFs with these numbers of votes, each with precision START_ACCURACY."""
    k = said.classes
    share = np.asarray(said.psi.T @ weight).reshape(said.lfs, k) / weight.sum()
    wrong = (1 - START_ACCURACY) / max(k - 1, 1)
    right = np.where(np.eye(k, dtype=bool), START_ACCURACY, wrong)  # P(class | vote)
    says = np.minimum(share[:, :, None] * right / prior, 1.0)
    says *= np.minimum(1.0, 0.99 / np.maximum(says.sum(axis=1, keepdims=True), 1e-12))
    says = np.maximum(says, 1e-9)
    return np.concatenate([says, 1 - says.sum(axis=1, keepdims=True)], axis=1)


def _emission(said: _Said, q: Floats) -> Floats:
    """M step: how often each LF said what, by class; *q* already includes the weights."""
    k = said.classes
    votes = (said.psi.T @ q).reshape(said.lfs, k, k)
    present = q.sum(axis=0) - said.failed.T @ q  # [m, K]: records on which it did not fail
    silent = np.maximum(present - votes.sum(axis=1), 0.0)
    counts = np.concatenate([votes, silent[:, None, :]], axis=1) + PRIOR_COUNT
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _posterior(
    said: _Said, log_prior: Floats, log_emission: Floats, usable: npt.NDArray[np.bool_]
) -> Floats:
    """E step: start from all LFs silent, then add the difference that votes and failures make.

    *log_prior*: [K], or [n, K] where more is known about each record.
    """
    return softmax(_scores(said, log_prior, log_emission, usable))


def _scores(
    said: _Said, log_prior: Floats, log_emission: Floats, usable: npt.NDArray[np.bool_]
) -> Floats:
    """Return the log-probability of each record's symbols together with each class, [n, K]."""
    k = said.classes
    logs = np.where(usable[:, None, None], log_emission, 0.0)
    silent = logs[:, k]
    voted = (logs[:, :k] - silent[:, None, :]).reshape(-1, logs.shape[2])
    return np.asarray(said.psi @ voted - said.failed @ silent + (log_prior + silent.sum(axis=0)))
