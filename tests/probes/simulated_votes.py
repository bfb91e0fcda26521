"""Votes whose truth is known: LFs that are independent given the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import PaneCounts, fold
from tidegauge_probes.model import ABSTAIN, Outcomes, VoteMatrix

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class World:
    """LFs of a made-up world. ``says``: float64 [m, K, K], P(LF i votes a | class k)."""

    says: Floats

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.says.shape[1])

    def draw(self, rng: Rng, n: int, prior: Floats) -> tuple[npt.NDArray[np.int64], Outcomes]:
        """Return classes, int64 [n], and outcomes, int8 [n, m]."""
        y = rng.choice(self.classes, size=n, p=prior)
        outcomes = np.full((n, len(self.says)), ABSTAIN, dtype=np.int8)
        for i, says in enumerate(self.says):
            below = np.cumsum(says[:, y], axis=0)  # [K, n]
            vote = (rng.random(n) >= below).sum(axis=0)
            outcomes[:, i] = np.where(vote < self.classes, vote, ABSTAIN)
        return y, outcomes

    def precision(self, prior: Floats) -> Floats:
        """Return P(class a | LF i votes a), float64 [m, K]; NaN where it never does."""
        joint = self.says * prior
        of = joint.sum(axis=2)
        right = np.einsum("iaa->ia", joint)
        return np.asarray(np.divide(right, of, out=np.full_like(of, np.nan), where=of > 0))


def unipolar(rng: Rng, lfs: int, prior: Floats, *, coverage: tuple[float, float]) -> World:
    """Return LFs that vote for one class each: precision .65 to .95 under *prior*."""
    classes = len(prior)
    says = np.zeros((lfs, classes, classes))
    for i in range(lfs):
        a, right, covered = i % classes, rng.uniform(0.65, 0.95), rng.uniform(*coverage)
        says[i, a] = covered * (1 - right) / (1 - prior[a])
        says[i, a, a] = min(covered * right / prior[a], 1.0)
    return World(says)


def pane(outcomes: Outcomes, classes: int) -> PaneCounts:
    """Count votes."""
    n, m = outcomes.shape
    return fold(VoteMatrix(outcomes, np.empty((n, 0), np.bool_), np.zeros(m)), classes, {})
