"""The label model of a baseline: what its votes tell of the classes, and how much of it is told.

Vote v = (LF i says a) is column i·K + a. A baseline has one of three kinds, by what its votes can
show without a label; gold labels take any of them to figures that were counted.
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
"""A precision less certain than this is not shown."""

FOLLOWED_FROM: Final = 200
"""Gold labels from which the class shares are watched by alerts: at 100 they were off by .05, at
200 by .03 on real votes."""


class LabelModelKind(StrEnum):
    """What the votes of a baseline can show by themselves."""

    FULL = "full"  # votes and silence both fit: shares of all records, precision, alerts
    VOTES = "votes"  # only the votes fit: who has changed, but no class shares of all records
    MAJORITY = "majority"  # LFs agree no more than independent ones would: majority vote


class ClassTables(Protocol):
    """What the LFs say of each class, silence included (``dawid_skene``)."""

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
    """What a vote tells of the class, frozen.

    ``prior``, ``prior_sd``: float64 [K], class shares and their standard deviations: of all records
    where ``shares_known``, else of the covered ones. ``pi``: float64 [mK, K], P(class | vote).
    ``mix``: float64 [K], shares of all votes that are cast on each class; with it

        P(class k | votes v₁ … v_V) ∝ mix_k Π_j pi[v_j, k] / mix_k

    ``gram``: float64 [mK, mK], how often votes came together in the records it was fitted from;
    if those had weights, scaled to the equally weighted ones that are worth the same (Kish):
    ``records``. ``votes``: int64 [m, K]. ``dependent``: bool [m, m]: LF j (column) does not judge
    LF i (row); the diagonal is True, and so is the column of an LF that judges nobody.
    ``similar``: float64 [mK, mK], sparse, 0…1: by how much two votes for one class are one.
    ``spread``: float64 [mK], how much more the co-votes of a vote scatter than independent ones.
    ``sd``: float64 [mK], of ``pi`` for the vote's own class; NaN where too few were cast.
    ``labels``: gold labels that it has seen. ``given``: the class shares were given, not estimated.
    ``tables``: P(LF i says s | class) over all records: of kind ``full``, and of imported models.
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
        """How often each vote was cast, float64 [mK], as ``gram`` has it."""
        return np.asarray(np.diag(self.gram))

    @cached_property
    def cast_on(self) -> Floats:
        """Records of each class that it was fitted from, float64 [K]; of all of them if known."""
        prior = self.prior if self.tables is None else self.tables.prior
        return np.asarray(prior * self.records)

    @cached_property
    def copies(self) -> Floats:
        """How many votes say the same as each, itself included, float64 [mK]."""
        return np.asarray(1 + self.similar.sum(axis=1)).ravel()

    @property
    def witnesses(self) -> Mask:
        """LFs that others are evaluated by, bool [m]."""
        return np.asarray(~self.dependent.all(axis=0))

    @property
    def known(self) -> Mask:
        """Votes that were cast often enough to be known, bool [m, K]."""
        return np.asarray(self.votes >= MIN_VOTES)

    @property
    def compares(self) -> bool:
        """Whether a window can be evaluated: not if the LFs cannot tell classes apart."""
        return self.kind is not LabelModelKind.MAJORITY or self.labels > 0

    @property
    def levels(self) -> bool:
        """Whether levels may be shown to everybody, not differences alone."""
        return self.kind is LabelModelKind.FULL or self.labels > 0

    @property
    def shares_known(self) -> bool:
        """Whether ``prior`` are shares of all records."""
        return self.levels or self.given

    @property
    def shares_followed(self) -> bool:
        """Whether the class shares are sure enough to raise alerts."""
        return self.kind is LabelModelKind.FULL or self.labels >= FOLLOWED_FROM

    def with_shares(self, shares: Floats) -> LabelModel:
        """Return the same where the class shares of all records are known, float64 [K]."""
        return replace(self, prior=shares, prior_sd=np.zeros(len(shares)), given=True)

    def precision(self) -> Floats:
        """Return P(class k | LF i votes k), float64 [m, K]; NaN where it hardly ever does."""
        found = self.right.reshape(self.lfs, self.classes)
        return np.asarray(np.where(self.known, found, np.nan))

    @property
    def shown(self) -> Floats:
        """``precision`` where it may be shown: sure enough, of a model that tells levels at all."""
        sure = np.nan_to_num(self.sd, nan=1.0).reshape(self.lfs, self.classes) <= MOST_SD
        return np.asarray(np.where(sure & self.levels, self.precision(), np.nan))

    def posterior(self, outcomes: Outcomes) -> Floats:
        """Return P(class | votes), float64 [n, K]; a failed LF says nothing.

        Of kind ``majority`` the largest is the majority's vote, and a tie stays one.
        """
        if self.kind is LabelModelKind.FULL and self.tables is not None:
            return self.tables.posterior(outcomes)
        return self.of_one_hot(one_hot(outcomes, self.classes))

    def of_one_hot(self, psi: sparse.csr_array) -> Floats:
        """Return P(class | votes) of one-hot votes, by the votes alone, float64 [n, K]."""
        judges = np.repeat(self.witnesses, self.classes).astype(np.float64)
        if not judges.all():
            psi = (psi * judges[None, :]).tocsr()
            psi.eliminate_zeros()
        return of_votes(thinned(psi, self.similar), self.pi, self.mix)


def of_votes(weighed: sparse.csr_array, pi: Floats, mix: Floats) -> Floats:
    """Return P(class | votes), float64 [n, K], of votes with weights, [n, mK]."""
    logs = np.log(pi) - np.log(mix)
    return softmax(np.asarray(weighed @ logs + np.log(mix)))
