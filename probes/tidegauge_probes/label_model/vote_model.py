"""What a vote says about the class, given that it was cast: the model of kind ``votes``.

N_v is how often vote v = (LF i says a) is cast, π_vk = P(class k | v), and T_k = Σ_v N_v π_vk / Σ N
is the share of all votes that are cast on class k. *Given how many* votes a record has, each is
drawn from its class's distribution θ_vk = N_v π_vk / (T_k Σ N), so

    P(k | v₁ … v_V) ∝ T_k Π_j π_{v_j, k} / T_k

Neither silence nor the number of votes carries information: whatever the class, a long text wakes
many LFs and a blind spot wakes none. T must remain the normaliser: tied to a prior, all votes end
up in the rarest class. Three things keep a wrong model from winning by sheer volume of data:

- π_v ~ Dirichlet with a_v pseudo-votes, of which a share ā, common to all votes, is on its own
  class;
- a_v = 5 φ_v + ½ N2_v, with φ_v the misfit of v's company (a power likelihood, Miller & Dunson
  2019) and N2_v how often v was cast on records with two or more votes;
- votes for one class that come together far too often count less, and do not evaluate each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model.model import of_votes
from tidegauge_probes.label_model.rows import DistinctRows, log_sum, softmax, thinned
from tidegauge_probes.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

START: Final = 0.75
"""Precision assumed of a vote before any data; the prior holds START_VOTES votes of it."""

START_VOTES: Final = 20.0
LEAST_RIGHT, MOST_RIGHT = 0.55, 0.95
"""Bounds of ā, the average precision of votes."""

PRIOR_VOTES: Final = 5.0
PRIOR_SHARE: Final = 0.5
ROUNDS: Final = 3
MOST_STEPS: Final = 300
TOLERANCE: Final = 1e-4

DEPENDENT_Z: Final = 10.0
"""Two votes for one class that come together this much more often than expected are dependent."""

GOLD_AGAINST: Final = 10.0
"""Labelled votes that the evidence among the votes themselves is worth."""


@dataclass(frozen=True, eq=False)
class VoteFit:
    """Figures of all mK votes, as in ``LabelModel``.

    ``misfit``: float64 [mK], φ. ``gain``, ``gain_error``: mean log likelihood ratio per record with
    two votes or more, of votes drawn by class to independent votes, and its standard error.
    """

    pi: Floats
    mix: Floats
    similar: sparse.csr_array
    misfit: Floats
    gain: float
    gain_error: float


def fit(rows: DistinctRows, judges: Mask, gold: Floats | None = None) -> VoteFit:
    """Fit from distinct rows. *judges*: bool [m], LFs that may evaluate others.

    *gold*: float64 [mK, K], labelled votes by vote and true class. No random numbers: equal rows
    give equal bytes.
    """
    votes = _Votes.of(rows, judges)
    pi, alpha = votes.anchored(START), PRIOR_VOTES + votes.company
    similar = votes.independent()
    counted = None if gold is None else gold[votes.columns]
    mix, misfit = votes.mix(votes.cast, pi), np.ones(len(pi))
    for last in (False,) * (ROUNDS - 1) + (True,):
        weighed = thinned(votes.psi, similar)
        pi, mix = _em(votes, weighed, pi, alpha, counted)
        expected = votes.expected(pi, mix)
        misfit = _misfit(votes.together, expected, rows.classes)
        alpha = PRIOR_VOTES * misfit + PRIOR_SHARE * votes.company
        if not last:
            similar = _similarity(votes, expected)
    gain, error = _gain(votes, pi, mix)
    if not judges.all():
        pi = _beside(votes, thinned(votes.psi, similar), pi, mix, counted)
        misfit = _misfit(votes.together, votes.expected(pi, mix), rows.classes)
    return votes.spread_out(VoteFit(pi, mix, similar, misfit, gain, error))


@dataclass(frozen=True, eq=False)
class _Votes:
    """The votes that were cast, v of them, on the records where a judge voted.

    ``psi``: [u, v], ones where a judge votes. ``beside``: the same for LFs that evaluate no others.
    ``weight``: float64 [u]. ``size``: float64 [u], votes of judges on the row. ``columns``: int64
    [v], the number of each vote among all mK. ``cast``: float64 [v]; ``company``: how many of those
    are on rows where another judge votes. ``together``: float64 [v, v], co-votes with judges'
    votes.
    """

    psi: sparse.csr_array
    beside: sparse.csr_array
    weight: Floats
    size: Floats
    columns: Ints
    cast: Floats
    company: Floats
    together: Floats
    judges: Mask
    classes: int
    lfs: int

    @classmethod
    def of(cls, rows: DistinctRows, judges: Mask) -> _Votes:
        classes = rows.classes
        m, every = rows.outcomes.shape[1], rows.psi
        judging = np.repeat(judges, classes)
        # Silent rows cost nothing: they are all one row.
        columns = np.flatnonzero(every.T @ (rows.weight * (every @ judging > 0)) > 0)
        if len(columns) < every.shape[1]:
            every, judging = every[:, columns].tocsr(), judging[columns]
        psi, beside = _only(every, judging), _only(every, ~judging)
        size = np.asarray(psi.sum(axis=1)).ravel()
        weight = rows.weight * (size > 0)
        company = psi.T @ (weight * (size > 1)) + beside.T @ weight
        together = rows.together[np.ix_(columns, columns)].copy()
        lf = columns // classes
        together[(lf[:, None] == lf) | ~judging] = 0.0
        cast = np.asarray(every.T @ weight)
        figures = (psi, beside, weight, size, columns, cast, np.asarray(company), together)
        return cls(*figures, judging, classes, m)

    @property
    def own(self) -> Ints:
        return np.asarray(self.columns % self.classes)

    @property
    def lf(self) -> Ints:
        return np.asarray(self.columns // self.classes)

    def independent(self) -> sparse.csr_array:
        return sparse.csr_array((len(self.columns), len(self.columns)))

    def anchored(self, right: float) -> Floats:
        """Return P(class | vote) if all votes have the same precision, float64 [v, K]."""
        return anchored(self.own, right, self.classes)

    def mix(self, weighed: Floats, pi: Floats) -> Floats:
        """Return T, the share of the (weighed) votes that are cast on each class."""
        total = weighed @ pi
        whole = float(total.sum())
        return np.asarray(total / whole) if whole > 0 else np.full(self.classes, 1 / self.classes)

    def expected(self, pi: Floats, mix: Floats) -> Floats:
        """Return expected co-votes, E_vw ∝ Σ_k N_v π_vk N_w π_wk / T_k, scaled to v's total."""
        by_class = self.cast[:, None] * pi
        due = (by_class / mix) @ by_class.T
        due[(self.lf[:, None] == self.lf) | ~self.judges] = 0.0
        scale = self.together.sum(axis=1) / np.maximum(due.sum(axis=1), 1e-12)
        return np.asarray(due * scale[:, None])

    def spread_out(self, found: VoteFit) -> VoteFit:
        """Return figures of all mK votes; those that were never cast say nothing."""
        every = self.lfs * self.classes
        pi = np.full((every, self.classes), 1 / self.classes)
        misfit = np.ones(every)
        pi[self.columns], misfit[self.columns] = found.pi, found.misfit
        coo = found.similar.tocoo()
        i, j = (self.columns[place] for place in coo.coords)
        similar = sparse.csr_array((coo.data, (i, j)), shape=(every, every))
        return VoteFit(pi, found.mix, similar, misfit, found.gain, found.gain_error)


def anchored(own: Ints, right: float, classes: int) -> Floats:
    """Return π of votes for the classes *own* that all have the same precision, float64 [v, K]."""
    wrong = (1 - right) / max(classes - 1, 1)
    pi = np.full((len(own), classes), wrong)
    pi[np.arange(len(own)), own] = right if classes > 1 else 1.0
    return pi


def _only(psi: sparse.csr_array, kept: Mask) -> sparse.csr_array:
    """Return the same matrix with the columns that are not *kept* emptied."""
    if kept.all():
        return psi
    if not kept.any():
        return sparse.csr_array(psi.shape)
    found = (psi * kept.astype(np.float64)[None, :]).tocsr()
    found.eliminate_zeros()
    return found


def _em(
    votes: _Votes, weighed: sparse.csr_array, pi: Floats, alpha: Floats, gold: Floats | None
) -> tuple[Floats, Floats]:
    """Return π, [v, K], and T, [K]. Rows with a single vote say nothing about π."""
    counted = np.asarray(weighed.T @ votes.weight)
    pairs = votes.weight * (votes.size > 1)
    company = np.where(votes.judges, votes.company, 0.0)
    places = np.arange(len(pi))
    for _ in range(MOST_STEPS):
        before = pi
        q = of_votes(weighed, pi, votes.mix(counted, pi))
        seen = votes.psi.T @ (q * pairs[:, None])
        right = float(seen[places, votes.own].sum()) + START_VOTES * START
        share = float(np.clip(right / (company.sum() + START_VOTES), LEAST_RIGHT, MOST_RIGHT))
        due = seen + alpha[:, None] * votes.anchored(share)
        pi = with_gold(due / (company + alpha)[:, None], gold)
        if np.abs(pi - before).max(initial=0.0) < TOLERANCE:
            break
    return pi, votes.mix(counted, pi)


def with_gold(pi: Floats, gold: Floats | None) -> Floats:
    """Return π with labelled votes counted, and the votes' own evidence as a few more of them."""
    if gold is None:
        return pi
    of = gold.sum(axis=1) + GOLD_AGAINST
    return np.asarray((gold + GOLD_AGAINST * pi) / of[:, None])


def _beside(
    votes: _Votes, weighed: sparse.csr_array, pi: Floats, mix: Floats, gold: Floats | None
) -> Floats:
    """Return π, with that of the votes that evaluate no others found by EM, all others fixed.

    Counting those votes only by what the others say would make them look less accurate the less
    the others know, so each also weighs in on its own rows.
    """
    logs = np.log(of_votes(weighed, pi, mix))
    found = pi.copy()
    by_vote = votes.beside.tocsc()
    for v in np.flatnonzero(~votes.judges):
        rows = by_vote.indices[by_vote.indptr[v] : by_vote.indptr[v + 1]]
        weight, anchor = votes.weight[rows], votes.anchored(START)[v]
        for _ in range(MOST_STEPS):
            before = found[v]
            q = softmax(logs[rows] + np.log(before) - np.log(mix))
            found[v] = (weight @ q + START_VOTES * anchor) / (weight.sum() + START_VOTES)
            if np.abs(found[v] - before).max() < TOLERANCE:
                break
    judged = ~votes.judges
    if gold is not None:
        found[judged] = with_gold(found[judged], gold[judged])
    return found


def _misfit(together: Floats, expected: Floats, classes: int) -> Floats:
    """Return φ, float64 [v], at least 1: χ² per degree of freedom of each vote's company.

    Cells that expect less than one co-vote are merged into one.
    """
    large = expected >= 1
    off = np.where(large, (together - expected) ** 2 / np.maximum(expected, 1e-12), 0.0)
    rest = np.where(large, 0.0, together - expected).sum(axis=1)
    small = np.where(large, 0.0, expected).sum(axis=1)
    chi = off.sum(axis=1) + rest**2 / np.maximum(small, 1.0)
    return np.asarray(np.maximum(chi / np.maximum(large.sum(axis=1) - classes + 1, 1), 1.0))


def _similarity(votes: _Votes, expected: Floats) -> sparse.csr_array:
    """Return s_vw = (G − E)/(min(N_v, N_w) − E), 0…1, for votes of one class with z > 10.

    1 where the rarer of the two is cast only together with the other: a copy.
    """
    due = (expected + expected.T) / 2
    least = np.minimum(votes.cast[:, None], votes.cast)
    extra = votes.together - due
    far = extra / np.sqrt(np.maximum(due, 1.0)) > DEPENDENT_Z
    pairs = votes.judges[:, None] & votes.judges & (votes.own[:, None] == votes.own)
    similar = np.clip(extra / np.maximum(least - due, 1.0), 0.0, 1.0)
    return sparse.csr_array(np.where(far & pairs, similar, 0.0))


def _gain(votes: _Votes, pi: Floats, mix: Floats) -> tuple[float, float]:
    """Return the mean over rows with two votes of log Σ_k T_k Π π/T_k, and its standard error."""
    weight = votes.weight * (votes.size > 1)
    if not weight.sum():
        return 0.0, 1.0
    ratio = log_sum(np.asarray(votes.psi @ (np.log(pi) - np.log(mix)) + np.log(mix)))
    mean = float(np.average(ratio, weights=weight))
    spread = float(np.average((ratio - mean) ** 2, weights=weight))
    return mean, float(np.sqrt(spread / weight.sum() + 1e-12))
