"""Votes as sparse one-hot rows, each distinct row once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Outcomes

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def one_hot(outcomes: Outcomes, classes: int) -> sparse.csr_array:
    """Return the votes as ones, [n, mK]: column i·K + a where LF i votes a."""
    rows, columns = np.nonzero(outcomes >= 0)
    place = columns * classes + outcomes[rows, columns].astype(np.int64)
    shape = (len(outcomes), outcomes.shape[1] * classes)
    return sparse.csr_array((np.ones(len(rows)), (rows, place)), shape=shape)


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """Each distinct row once.

    ``outcomes``: int8 [u, m]. ``weight``: float64 [u], how many records of equal weight each row
    stands for; they add up to ``records`` (Kish's number, if the records had weights). ``times``:
    int64 [u], how often each row occurred. ``which``: int64 [n], the row of each record.
    """

    outcomes: Outcomes
    weight: Floats
    times: Ints
    which: Ints
    records: int
    classes: int

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int, weights: Floats | None = None) -> DistinctRows:
        """Group the rows of int8 [n, m]. The order of the records does not matter."""
        n = len(outcomes)
        first, which = _grouped(np.ascontiguousarray(outcomes, dtype=np.int8))
        times = np.bincount(which, minlength=len(first)).astype(np.int64)
        if weights is None or not n:
            alike = times.astype(np.float64)
            return cls(outcomes[first], alike, times, which, n, classes)
        worth = float(weights.sum() / (weights @ weights))  # Σw·worth = (Σw)²/Σw²
        counted = np.bincount(which, weights=weights * worth, minlength=len(first))
        summed = np.asarray(counted, dtype=np.float64)
        return cls(outcomes[first], summed, times, which, round(float(summed.sum())), classes)

    @cached_property
    def psi(self) -> sparse.csr_array:
        """The votes as ones, [u, mK]."""
        return one_hot(self.outcomes, self.classes)

    @cached_property
    def together(self) -> Floats:
        """How often votes came together, float64 [mK, mK]."""
        weighted = self.psi.multiply(self.weight[:, None]).tocsr()
        return np.asarray((self.psi.T @ weighted).toarray())

    @cached_property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Rows with a vote, bool [u]."""
        return np.asarray(self.psi.sum(axis=1)).ravel() > 0


def _grouped(rows: Outcomes) -> tuple[Ints, Ints]:
    """Return the index of each distinct row's first occurrence, and which of them each row is."""
    if not rows.size:
        return np.arange(min(len(rows), 1)), np.zeros(len(rows), dtype=np.int64)
    whole = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return first, np.asarray(which.ravel(), dtype=np.int64)


def thinned(psi: sparse.csr_array, similar: sparse.csr_array) -> sparse.csr_array:
    """Return each vote's weight: 1 / (1 + its similarity to the other votes of its row).

    Three LFs that always say the same get a third of a vote each.
    """
    if not similar.nnz:
        return psi
    weighed = (psi + (psi @ similar).multiply(psi)).tocsr()
    weighed.data = 1 / weighed.data
    return weighed


def softmax(scores: Floats) -> Floats:
    """Return e^scores, each row scaled to add up to 1, float64 [n, K].

    Like ``scipy.special.softmax`` over axis 1, but several times as fast where K is small: EM
    spends most of its time here.
    """
    found = np.exp(scores - largest(scores)[:, None])
    found /= (found @ np.ones(scores.shape[1]))[:, None]
    return np.asarray(found)


def log_sum(scores: Floats) -> Floats:
    """Return log Σ e^scores of each row, float64 [n]."""
    top = largest(scores)
    return np.asarray(np.log(np.exp(scores - top[:, None]) @ np.ones(scores.shape[1])) + top)


def largest(scores: Floats) -> Floats:
    """Return the largest of each row, float64 [n]."""
    found = scores[:, 0].copy()
    for column in range(1, scores.shape[1]):
        np.maximum(found, scores[:, column], out=found)
    return found
