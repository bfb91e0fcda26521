"""Decide whether silence counts: Dawid–Skene is used only where its predictions hold.

No real data set passed; simulated LFs that are independent given the class did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model import dawid_skene
from tidegauge_probes.label_model.dawid_skene import DawidSkene
from tidegauge_probes.label_model.rows import DistinctRows

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ENOUGH_EXPECTED: Final = 5.0
"""Minimum expected co-votes for a pair to be compared."""

ENOUGH_PAIRS: Final = 30
FEWER_PAIRS: Final = 10
FEWER_NEED: Final = 2_000.0
"""With this many expected co-votes in total, fewer pairs are enough."""

FITS: Final = 1.0
"""χ² per pair of a model that holds; the mean over so many pairs may exceed it by 1/√pairs. In
simulated worlds it was .3 to .8 where LFs were independent given the class, 1.1 where some records
woke a few more LFs than others (class shares were then off by .07), and 2.6 or more elsewhere."""

MOST_Z: Final = 4.0
MOST_APART: Final = 0.03
IDENTIFIED_Z: Final = 5.0
"""Standard errors by which classes must explain the votes better than independence does. Below it,
nothing tells an LF that is right from one that is wrong: one class, or two that are alike, predict
mere guesses perfectly."""

SURE: Final = 0.8
LEAST_AGREEMENT: Final = 0.9
COUNTED_VOTES: Final = 5
"""Records with 0 … 4 votes are counted separately."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """How well a model predicts what it was not fitted to.

    ``pairs``, ``due``: pairs of votes that were compared, and their total expected co-votes.
    ``misfit``: χ² per pair. ``silence``: the largest z of the shares of records with 0 … 4 votes.
    """

    pairs: int
    due: float
    misfit: float
    silence: float

    @property
    def hold(self) -> bool:
        """Whether enough is predicted, and predicted correctly."""
        few = self.pairs >= FEWER_PAIRS and self.due >= FEWER_NEED
        enough = self.pairs >= ENOUGH_PAIRS or few
        return enough and self.misfit <= FITS + self.pairs**-0.5 and self.silence <= MOST_Z

    @property
    def doubtful(self) -> bool:
        """Whether they hold only just, so that a second opinion is needed."""
        return self.misfit > FITS


@dataclass(frozen=True, eq=False)
class SilenceFit:
    """Dawid–Skene with abstain as a symbol, and how well it predicts."""

    tables: DawidSkene
    predicts: Predictions


def counted(
    rows: DistinctRows, aside: Sequence[int] = (), balance: Floats | None = None
) -> SilenceFit | None:
    """Return the model in which silence counts, or None where it does not hold.

    Its predictions must hold, its classes must explain more than independence does, and two starts
    must end alike: equal precision of all votes, and half of what the majority says of each record.
    """
    model = dawid_skene.fit_rows(rows, balance=balance, aside=aside)
    found = predictions(model, rows, aside)
    if not found.hold or model.gain(rows) < IDENTIFIED_Z:
        return None
    start = _half_the_majority(rows, aside)
    other = dawid_skene.fit_rows(rows, balance=balance, aside=aside, start=start)
    if np.abs(other.prior - model.prior).max() > MOST_APART:
        return None
    return SilenceFit(model, found)


def _half_the_majority(rows: DistinctRows, aside: Sequence[int]) -> Floats:
    """Return the mean of the majority's opinion on each row and of ignorance, float64 [u, K]."""
    k = rows.classes
    votes = np.repeat(1.0, rows.psi.shape[1])
    votes[np.flatnonzero(np.isin(np.arange(len(votes)) // k, list(aside)))] = 0.0
    by_class = rows.psi @ (np.tile(np.eye(k), (rows.outcomes.shape[1], 1)) * votes[:, None])
    total = by_class.sum(axis=1, keepdims=True)
    share = np.divide(by_class, total, out=np.full(by_class.shape, 1 / k), where=total > 0)
    return np.asarray((share + 1 / k) / 2)


def predictions(model: DawidSkene, rows: DistinctRows, aside: Sequence[int] = ()) -> Predictions:
    """Compare co-votes, and the number of votes per record, with what the model predicts."""
    judges = np.ones(len(model.votes), dtype=np.bool_)
    judges[list(aside)] = False
    lf = np.repeat(np.arange(len(judges)), model.classes)
    n = rows.weight.sum()
    expected = n * (model.vote_emission * model.prior) @ model.vote_emission.T
    compared = (lf[:, None] < lf) & judges[lf][:, None] & judges[lf]
    compared &= expected >= ENOUGH_EXPECTED
    due = expected[compared]
    off = (rows.together[compared] - due) ** 2 / due
    misfit = float(off.mean()) if len(off) else np.inf
    return Predictions(len(due), float(due.sum()), misfit, _silence(model, rows, judges))


def _silence(model: DawidSkene, rows: DistinctRows, judges: Mask) -> float:
    """Return the largest z of the shares of records with 0 … 4 votes."""
    due = np.zeros(COUNTED_VOTES)
    for share, quiet in zip(model.prior, model.emission[judges, model.classes].T, strict=True):
        due += share * _votes_of_independent(1 - quiet)
    n = float(rows.weight.sum())
    size = np.minimum((rows.outcomes[:, judges] >= 0).sum(axis=1), COUNTED_VOTES)
    seen = np.bincount(size, weights=rows.weight, minlength=COUNTED_VOTES + 1)[:COUNTED_VOTES] / n
    spread = np.sqrt(np.maximum(due * (1 - due), 1e-4) / n)
    return float((np.abs(seen - due) / spread).max())


def _votes_of_independent(chances: Floats) -> Floats:
    """Return the chances of 0 … 4 votes, float64 [5], of LFs that vote with *chances*."""
    found = np.zeros(COUNTED_VOTES)
    found[0] = 1.0
    for chance in chances:
        found[1:] = found[1:] * (1 - chance) + found[:-1] * chance
        found[0] *= 1 - chance
    return found


def agrees(model: DawidSkene, rows: DistinctRows, by_votes: Floats) -> bool:
    """Tell whether the model agrees, on most records, with what the votes alone are sure of.

    *by_votes*: P(class | votes), float64 [u, K], from the model of kind ``votes``. Where a class is
    rare, that model can be sure and wrong, so it is only asked where predictions are doubtful.
    """
    sure = rows.covered & (by_votes.max(axis=1) >= SURE)
    weight = rows.weight[sure]
    same = model.posterior(rows.outcomes[sure]).argmax(axis=1) == by_votes[sure].argmax(axis=1)
    return bool(weight @ same >= LEAST_AGREEMENT * max(float(weight.sum()), 1e-12))
