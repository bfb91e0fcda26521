"""The label model: class shares and what each LF says of each class, as values to compute with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MIN_LFS: Final = 3
"""With fewer the accuracies are not identified: take the majority's vote."""

MIN_VOTES: Final = 20
"""An LF with fewer votes says nothing that could be trusted."""


@dataclass(frozen=True, eq=False)
class LabelModel:
    """Class shares, and what each LF says of each class.

    ``prior``: float64 [K]. ``emission``: float64 [m, K + 1, K], P(LF i says s | class k), where
    symbol K is an abstain; columns over s sum to 1. ``votes``: int64 [m, K], votes it was fitted
    from. ``records``: how many records those were; if they had weights, how many equally weighted
    ones are worth the same (Kish). ``dependent``: bool [m, m], LFs that are not independent given
    the class; the diagonal is True.
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
        """LFs that voted often enough to be known, and may judge others, bool [m]."""
        return np.asarray((self.votes.sum(axis=1) >= MIN_VOTES) & self.witnesses)

    @property
    def witnesses(self) -> npt.NDArray[np.bool_]:
        """LFs that others are judged by, bool [m]: not those that depend on all."""
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
        """Return P(class k | LF i votes k), float64 [m, K]; NaN where it hardly ever does.

        *prior*: class shares, float64 [K], if they are not those of the model.
        """
        shares = self.prior if prior is None else prior
        joint = self.emission[:, : self.classes] * shares  # P(votes a, is k): [m, a, k]
        right, of = np.einsum("ikk->ik", joint), joint.sum(axis=2)
        known = self.known & (of > 0)
        return np.asarray(np.divide(right, of, out=np.full_like(of, np.nan), where=known))
