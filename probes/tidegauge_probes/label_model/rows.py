"""Votes as sparse one-hot rows, each different row once."""

from __future__ import annotations

from dataclasses import dataclass
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
    """Each different row once.

    ``outcomes``: int8 [u, m]. ``weight``: float64 [u], how many records of equal weight each stands
    for; they add up to ``records`` (Kish's number, where the records had weights). ``times``: int64
    [u], how often each came. ``which``: int64 [n], the row that each record became.
    """

    outcomes: Outcomes
    weight: Floats
    times: Ints
    which: Ints
    records: int

    @classmethod
    def of(cls, outcomes: Outcomes, weights: Floats | None = None) -> DistinctRows:
        """Group the rows of int8 [n, m]. The order of the records changes nothing."""
        n = len(outcomes)
        first, which = _grouped(np.ascontiguousarray(outcomes, dtype=np.int8))
        times = np.bincount(which, minlength=len(first)).astype(np.int64)
        if weights is None or not n:
            return cls(outcomes[first], np.asarray(times, dtype=np.float64), times, which, n)
        worth = float(weights.sum() / (weights @ weights))  # Σw·worth = (Σw)²/Σw²
        summed = np.bincount(which, weights=weights * worth, minlength=len(first))
        return cls(outcomes[first], summed, times, which, round(float(summed.sum())))

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Rows with a vote, bool [u]."""
        return np.asarray((self.outcomes >= 0).any(axis=1))


def _grouped(rows: Outcomes) -> tuple[Ints, Ints]:
    """Return where each different row first stands, and which of them each row is."""
    if not rows.size:
        return np.arange(min(len(rows), 1)), np.zeros(len(rows), dtype=np.int64)
    whole = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    return first, np.asarray(which.ravel(), dtype=np.int64)


def thinned(psi: sparse.csr_array, similar: sparse.csr_array) -> sparse.csr_array:
    """Return each vote's weight: 1 / (1 + its similarity to the other votes of its row).

    Three LFs that always say the same have a third of a vote each.
    """
    if not similar.nnz:
        return psi
    weighed = (psi + (psi @ similar).multiply(psi)).tocsr()
    weighed.data = 1 / weighed.data
    return weighed
