"""The label model: what the LFs say together about the class nobody has seen.

Dawid & Skene (1979), fitted by EM, with *abstain as a symbol of its own*: that an LF keeps silent
tells something, too. Without that, accuracies of LFs that vote for one class only are far off.
All accuracies are relative to the consensus of the LFs: a shift that fools every LF alike is not
seen without gold labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.model import ERROR, Outcomes

Floats = npt.NDArray[np.float64]

MIN_LFS: Final = 3
"""With fewer the accuracies are not identified: take the majority's vote."""

MIN_VOTES: Final = 20
"""An LF with fewer votes says nothing that could be trusted."""

PRIOR_COUNT: Final = 0.1
"""Records added to each cell, so that no probability is 0."""

START_ACCURACY: Final = 0.7
"""Precision of every vote that the first step assumes; it also says which class is which."""

TOLERANCE: Final = 1e-5
MOST_STEPS: Final = 500


@dataclass(frozen=True, eq=False)
class LabelModel:
    """Class shares, and what each LF says of each class.

    ``prior``: float64 [K]. ``emission``: float64 [m, K + 1, K], P(LF i says s | class k), where
    symbol K is an abstain; columns over s sum to 1. ``votes``: int64 [m], votes it was fitted
    from. ``records``: how many records those were.
    """

    prior: Floats
    emission: Floats
    votes: npt.NDArray[np.int64]
    records: int

    @property
    def classes(self) -> int:
        """Number of classes, K."""
        return len(self.prior)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """LFs that voted often enough to be known, bool [m]."""
        return np.asarray(self.votes >= MIN_VOTES)

    def precision(self) -> Floats:
        """Return P(class k | LF i votes k), float64 [m, K]; NaN where it never does."""
        says = self.emission[:, : self.classes] * self.prior  # [m, symbol, class]
        of = says.sum(axis=2)
        right = np.einsum("ikk->ik", says)
        return np.asarray(np.divide(right, of, out=np.full_like(of, np.nan), where=of > 0))

    def posterior(self, outcomes: Outcomes) -> Floats:
        """Return P(class | what the LFs said), float64 [n, K]; a failed LF says nothing."""
        said = _Said.of(outcomes, self.classes)
        return _posterior(said, np.log(self.prior), np.log(self.emission), self.usable)


def fit(outcomes: Outcomes, classes: int, *, balance: Floats | None = None) -> LabelModel:
    """Fit by EM from int8 [n, m] outcomes; *balance* holds the class shares, if they are known.

    BaselineError if there are fewer than three LFs that vote, or *balance* is not one of shares.
    """
    said = _Said.of(outcomes, classes)
    votes = said.votes_by_lf()
    if int((votes >= MIN_VOTES).sum()) < MIN_LFS:
        msg = (
            f"a label model needs at least {MIN_LFS} LFs with {MIN_VOTES} votes each; only "
            f"{int((votes >= MIN_VOTES).sum())} of {len(votes)} have them"
        )
        raise BaselineError(msg)
    prior = _checked_balance(balance, classes)
    usable = votes >= MIN_VOTES
    q = _posterior(said, np.log(prior), np.log(_assumed(said, prior)), usable)
    emission = np.zeros((len(votes), classes + 1, classes))
    for _ in range(MOST_STEPS):
        before = emission
        emission = _emission(said, q)
        if balance is None:
            prior = (q.sum(axis=0) + PRIOR_COUNT) / (len(q) + PRIOR_COUNT * classes)
        q = _posterior(said, np.log(prior), np.log(emission), usable)
        if float(np.abs(emission - before).max()) < TOLERANCE:
            break
    return LabelModel(prior, emission, votes, len(outcomes))


@dataclass(frozen=True, eq=False)
class _Said:
    """Votes as a sparse one-hot matrix, [n, mK], and failures, [n, m]."""

    psi: sparse.csr_array
    failed: sparse.csr_array
    lfs: int
    classes: int

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int) -> _Said:
        n, m = outcomes.shape
        rows, columns = np.nonzero(outcomes >= 0)
        place = columns * classes + outcomes[rows, columns].astype(np.int64)
        psi = sparse.csr_array((np.ones(len(rows)), (rows, place)), shape=(n, m * classes))
        rows, columns = np.nonzero(outcomes == ERROR)
        failed = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, m))
        return cls(psi, failed, m, classes)

    def votes_by_lf(self) -> npt.NDArray[np.int64]:
        per_symbol = np.asarray(self.psi.sum(axis=0)).reshape(self.lfs, self.classes)
        return np.asarray(per_symbol.sum(axis=1), dtype=np.int64)


def _checked_balance(balance: Floats | None, classes: int) -> Floats:
    if balance is None:
        return np.full(classes, 1 / classes)
    given = np.asarray(balance, dtype=np.float64)
    if given.shape != (classes,) or not np.all(given > 0) or abs(given.sum() - 1) > 1e-6:  # noqa: PLR2004
        msg = f"the class balance must be {classes} positive shares that add up to 1, not {balance}"
        raise BaselineError(msg)
    return np.asarray(given / given.sum())


def _assumed(said: _Said, prior: Floats) -> Floats:
    """Return emissions of LFs that vote as often as they do, and are right at START_ACCURACY."""
    k = said.classes
    seen = max(said.psi.shape[0], 1)
    share = np.asarray(said.psi.sum(axis=0)).reshape(said.lfs, k) / seen
    wrong = (1 - START_ACCURACY) / max(k - 1, 1)
    right = np.where(np.eye(k, dtype=bool), START_ACCURACY, wrong)  # P(class | vote)
    says = np.minimum(share[:, :, None] * right / prior, 1.0)
    says *= np.minimum(1.0, 0.99 / np.maximum(says.sum(axis=1, keepdims=True), 1e-12))
    says = np.maximum(says, 1e-9)
    return np.concatenate([says, 1 - says.sum(axis=1, keepdims=True)], axis=1)


def _emission(said: _Said, q: Floats) -> Floats:
    """M step: how often each LF said what, by class."""
    k = said.classes
    votes = (said.psi.T @ q).reshape(said.lfs, k, k)
    present = q.sum(axis=0) - said.failed.T @ q  # [m, K]: records on which it did not fail
    silent = np.maximum(present - votes.sum(axis=1), 0.0)
    counts = np.concatenate([votes, silent[:, None, :]], axis=1) + PRIOR_COUNT
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _posterior(
    said: _Said, log_prior: Floats, log_emission: Floats, usable: npt.NDArray[np.bool_]
) -> Floats:
    """E step. Each record starts from all LFs silent; votes and failures are the difference."""
    k = said.classes
    logs = np.where(usable[:, None, None], log_emission, 0.0)
    silent = logs[:, k]
    voted = (logs[:, :k] - silent[:, None, :]).reshape(-1, k)
    scores = said.psi @ voted - said.failed @ silent + (log_prior + silent.sum(axis=0))
    return np.asarray(special.softmax(scores, axis=1))
