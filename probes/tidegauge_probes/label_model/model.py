"""The label model of a baseline: what votes say about classes, and how much of it is reported.

Vote v = (LF i says a) is column i·K + a. A label model is of one of three kinds, depending on what
the votes can show without labels; with gold labels, any kind gets counted figures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from tidegauge_probes.compat import StrEnum
from tidegauge_probes.label_model.limits import MIN_VOTES
from tidegauge_probes.label_model.rows import one_hot, softmax, thinned
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Outcomes

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_SD: Final = 0.15
"""Precisions less certain than this are not shown."""

FOLLOWED_FROM: Final = 200
"""Gold labels from which alerts watch the class shares: on real votes, the shares were off by .05
with 100 labels and by .03 with 200."""


class LabelModelKind(StrEnum):
    """What the votes of a baseline can show by themselves."""

    FULL = "full"  # votes and silence both fit: class shares of all records, precision, alerts
    VOTES = "votes"  # only the votes fit: which LFs changed, but no class shares of all records
    MAJORITY = "majority"  # LFs agree no more than independent ones would: majority vote


class ClassTables(Protocol):
    """How often each LF says what about each class, silence included (``dawid_skene``)."""

    @property
    def prior(self) -> Floats:
        """Return the class shares, float64 [K]."""

    @property
    def emission(self) -> Floats:
        """Return P(LF i says s | class k), float64 [m, K + 1, K]."""

    def posterior(self, outcomes: Outcomes) -> Floats:
        """Return P(class | outcomes), float64 [n, K]."""


@dataclass(frozen=True, eq=False)
class LabelModel:
    """What each vote says about the class, frozen.

    ``prior``, ``prior_sd``: float64 [K], class shares and their standard deviations: of all records
    where ``shares_known``, otherwise of the covered ones. ``pi``: float64 [mK, K], P(class | vote).
    ``mix``: float64 [K], shares of all votes that are cast on each class; with it

        P(class k | votes v₁ … v_V) ∝ mix_k Π_j pi[v_j, k] / mix_k

    ``records``: how many records it was fitted from; if they had weights, the number of equally
    weighted records that are worth the same (Kish). ``gram``: float64 [mK, mK], how often votes
    came together in those. ``votes``: int64 [m, K]. ``dependent``: bool [m, m]: LF j (column) is
    not used to evaluate LF i (row); the diagonal is True, and so is the whole column of an LF that
    evaluates no others. ``similar``: float64 [mK, mK], sparse, 0…1: how far two votes for one class
    are the same vote. ``spread``: float64 [mK], scatter of a vote's co-votes relative to
    independent ones. ``sd``: float64 [mK], of ``pi`` for the vote's own class; NaN for rare votes.
    ``labels``: number of gold labels used. ``given``: the class shares were given, not estimated.
    ``tables``: P(LF i says s | class) over all records: for kind ``full``, and for imported models.
    """

    kind: LabelModelKind
    prior: Floats
    prior_sd: Floats
    pi: Floats
    mix: Floats
    gram: Floats
    records: int
    votes: Ints
    dependent: Mask
    similar: sparse.csr_array
    spread: Floats
    sd: Floats
    labels: int = 0
    given: bool = False
    tables: ClassTables | None = None

    @property
    def classes(self) -> int:
        """Number of classes, K."""
        return len(self.prior)

    @property
    def lfs(self) -> int:
        """Number of LFs, m."""
        return len(self.votes)

    @cached_property
    def own(self) -> Ints:
        """The class of each vote, int64 [mK]."""
        return np.tile(np.arange(self.classes), self.lfs)

    @cached_property
    def right(self) -> Floats:
        """P(the vote is right), float64 [mK]."""
        return np.asarray(self.pi[np.arange(len(self.pi)), self.own])

    @cached_property
    def cast(self) -> Floats:
        """How often each vote was cast, float64 [mK], as in ``gram``."""
        return np.asarray(np.diag(self.gram))

    @cached_property
    def cast_on(self) -> Floats:
        """Records of each class that it was fitted from, float64 [K]; all, if shares are known."""
        prior = self.prior if self.tables is None else self.tables.prior
        return np.asarray(prior * self.records)

    @cached_property
    def copies(self) -> Floats:
        """How many votes say the same as each vote, itself included, float64 [mK]."""
        return np.asarray(1 + self.similar.sum(axis=1)).ravel()

    @property
    def witnesses(self) -> Mask:
        """LFs that may evaluate others, bool [m]."""
        return np.asarray(~self.dependent.all(axis=0))

    @property
    def known(self) -> Mask:
        """Votes that were cast often enough to be known, bool [m, K]."""
        return np.asarray(self.votes >= MIN_VOTES)

    @property
    def compares(self) -> bool:
        """Whether windows can be evaluated; they cannot if the LFs do not tell classes apart."""
        return self.kind is not LabelModelKind.MAJORITY or self.labels > 0

    @property
    def levels(self) -> bool:
        """Whether levels may be shown, not only differences."""
        return self.kind is LabelModelKind.FULL or self.labels > 0

    @property
    def shares_known(self) -> bool:
        """Whether ``prior`` holds the shares of all records."""
        return self.levels or self.given

    @property
    def shares_followed(self) -> bool:
        """Whether the class shares are certain enough to raise alerts."""
        return self.kind is LabelModelKind.FULL or self.labels >= FOLLOWED_FROM

    def with_shares(self, shares: Floats) -> LabelModel:
        """Return the same model with known class shares of all records, float64 [K]."""
        return replace(self, prior=shares, prior_sd=np.zeros(len(shares)), given=True)

    def precision(self) -> Floats:
        """Return P(class k | LF i votes k), float64 [m, K]; NaN for votes that are too rare."""
        found = self.right.reshape(self.lfs, self.classes)
        return np.asarray(np.where(self.known, found, np.nan))

    @property
    def shown(self) -> Floats:
        """``precision`` where it may be shown: certain enough, from a model that shows levels."""
        sure = np.nan_to_num(self.sd, nan=1.0).reshape(self.lfs, self.classes) <= MOST_SD
        return np.asarray(np.where(sure & self.levels, self.precision(), np.nan))

    def posterior(self, outcomes: Outcomes) -> Floats:
        """Return P(class | votes), float64 [n, K]; a failed LF says nothing.

        For kind ``majority``, the majority's class is the largest, and a tie stays a tie.
        """
        if self.kind is LabelModelKind.FULL and self.tables is not None:
            return self.tables.posterior(outcomes)
        return self.of_one_hot(one_hot(outcomes, self.classes))

    def of_one_hot(self, psi: sparse.csr_array) -> Floats:
        """Return P(class | votes) from one-hot votes alone, float64 [n, K]."""
        judges = np.repeat(self.witnesses, self.classes).astype(np.float64)
        if not judges.all():
            psi = (psi * judges[None, :]).tocsr()
            psi.eliminate_zeros()
        return of_votes(thinned(psi, self.similar), self.pi, self.mix)


def of_votes(weighed: sparse.csr_array, pi: Floats, mix: Floats) -> Floats:
    """Return P(class | votes), float64 [n, K], for weighted votes, [n, mK]."""
    logs = np.log(pi) - np.log(mix)
    return softmax(np.asarray(weighed @ logs + np.log(mix)))
