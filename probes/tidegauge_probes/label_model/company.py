"""Evaluate a vote by its company: what the other LFs say on the records where it is cast.

On records of class k, vote v's witnesses cast co-votes w with shares θ_wk, so v's own company has
the shares f ∝ Σ_k π_vk size_k θ_wk, where size_k is the number of co-votes on a record of class k.
With a the class that v votes for, h = f_a − f_rest is the direction in which the company moves when
v is right more often, and Σ h²/f is the information in one co-vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model.limits import MIN_VOTES, SD_ALONE, SD_SHARED
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind
from tidegauge_probes.label_model.rows import DistinctRows

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SD_SHARE: Final = 0.06
"""Lower bound for the standard deviation of a class share of covered records."""

LEAST_COMPANY: Final = 5.0
"""Minimum co-votes; with fewer, the scatter of rows is not estimated."""


@dataclass(frozen=True, eq=False)
class Company:
    """The distribution that vote v's co-votes are drawn from.

    ``votes``: int64 [w], the witnesses. ``theta``: float64 [w, K], shares of the co-votes by class;
    columns add up to 1. ``size``: float64 [K], number of co-votes on a record, by its class: all 1
    where that number says nothing about the class, as in kind ``votes``.
    """

    votes: Ints
    theta: Floats
    size: Floats

    @classmethod
    def of(cls, model: LabelModel, vote: int, trusted: Mask | None = None) -> Company:
        """Return the company of the witnesses: common votes of LFs that may evaluate this one."""
        judges = ~model.dependent[vote // model.classes]
        if trusted is not None:
            judges = judges & trusted
        votes = np.flatnonzero(np.repeat(judges, model.classes) & (model.cast >= MIN_VOTES))
        by_class = model.cast[votes, None] * model.pi[votes]
        if model.kind is not LabelModelKind.FULL:
            return cls.drawn_by(votes, by_class, np.ones(model.classes))
        return cls.drawn_by(votes, by_class / np.maximum(model.cast_on, 1e-12), None)

    @classmethod
    def drawn_by(cls, votes: Ints, by_class: Floats, size: Floats | None) -> Company:
        """Return the company of votes that are cast this often on each class, float64 [w, K].

        *size*: by default, the records of a class have as many co-votes as votes are cast on it.
        """
        total = by_class.sum(axis=0)
        size = total if size is None else size
        return cls(votes, by_class / np.maximum(total, 1e-12), np.maximum(size, 1e-12))

    def moved(self, chosen: Mask, factor: Floats, *, counts: bool) -> Company:
        """Return the company of the *chosen* witnesses, each cast *factor* times as often.

        *counts*: whether that changes the number of co-votes on a record.
        """
        by_class = (self.theta * self.size)[chosen] * factor[chosen, None]
        return self.drawn_by(self.votes[chosen], by_class, None if counts else self.size)

    def shares(self, classes: Floats) -> Floats:
        """Return f, float64 [w], of a vote with P(class | vote) = *classes*."""
        drawn = self.theta @ (classes * self.size)
        return np.asarray(drawn / max(drawn.sum(), 1e-12))

    def direction(self, classes: Floats, own: int) -> Floats:
        """Return h = f_own − f_rest, float64 [w]; the other classes keep their proportion."""
        return np.asarray(self.theta[:, own] - self.shares(_rest(classes, own)))

    def precision(self, classes: Floats, own: int, moved: float) -> float:
        """Return P(class *own* | vote) after the share of co-votes on *own* has *moved*.

        A vote that is right on p of its records has q = p size_own / (p size_own + (1 − p)
        size_rest) of its co-votes there. With three co-votes on each record where it is right and
        one on each of the others, p = 50 % gives q = 75 %. May lie outside 0…1 where sizes are
        equal.
        """
        right, wrong = self.size[own], float(self.size @ _rest(classes, own))
        p = float(classes[own])
        if right == wrong:
            return p + moved
        q = p * right / max(p * right + (1 - p) * wrong, 1e-12)
        q = min(max(q + moved, 0.0), 1.0)
        return float(q * wrong / max(q * wrong + (1 - q) * right, 1e-12))

    def slope(self, classes: Floats, own: int) -> float:
        """Return dp/dq: how far a vote's precision moves when its share of co-votes does."""
        right, wrong = self.size[own], float(self.size @ _rest(classes, own))
        p = float(classes[own])
        return float((p * right + (1 - p) * wrong) ** 2 / max(right * wrong, 1e-12))


def _rest(classes: Floats, own: int) -> Floats:
    """Return the shares of the other classes, scaled to add up to 1."""
    rest = classes.copy()
    rest[own] = 0.0
    return np.asarray(rest / max(rest.sum(), 1e-12))


def spreads(model: LabelModel, rows: DistinctRows) -> Floats:
    """Return D, float64 [mK]: scatter of the rows' summed scores, relative to independent co-votes.

    The co-votes of one record are not independent: D of them count as one.
    """
    found = np.ones(len(model.pi))
    psi = rows.psi
    by_vote = psi.tocsc()
    for v in np.flatnonzero(model.cast >= MIN_VOTES):
        company = Company.of(model, int(v))
        seen = model.gram[v, company.votes]
        if seen.sum() < LEAST_COMPANY:
            continue
        score = np.zeros(len(model.pi))
        score[company.votes] = _scores(model, company, int(v))
        score[company.votes] -= seen @ score[company.votes] / seen.sum()
        on = np.sort(by_vote.indices[by_vote.indptr[v] : by_vote.indptr[v + 1]])
        summed = _rows(psi, on) @ score
        independent = float(seen @ score[company.votes] ** 2)
        found[v] = max(float(rows.weight[on] @ summed**2) / max(independent, 1e-9), 1.0)
    return found


def _rows(psi: sparse.csr_array, chosen: Ints) -> sparse.csr_array:
    return psi[chosen]


def _scores(model: LabelModel, company: Company, vote: int) -> Floats:
    """Return h/f, float64 [w]."""
    classes = model.pi[vote]
    h = company.direction(classes, int(model.own[vote]))
    return np.asarray(h / np.maximum(company.shares(classes), 1e-12))


def precision_sd(model: LabelModel, misfit: Floats, shared: float = SD_SHARED) -> Floats:
    """Return the standard deviation of P(the vote is right), float64 [mK]; NaN for rare votes.

    sd² = 1/(I + 1/.25²) + .10², with I = co-votes/(D φ) · Σ h²/f.
    """
    sd = np.full(len(model.pi), np.nan)
    for v in np.flatnonzero(model.cast >= MIN_VOTES):
        company = Company.of(model, int(v))
        if not len(company.votes):
            sd[v] = SD_ALONE
            continue
        h = company.direction(model.pi[v], int(model.own[v]))
        each = float((h * _scores(model, company, int(v))).sum())
        each /= company.slope(model.pi[v], int(model.own[v])) ** 2
        votes = float(model.gram[v, company.votes].sum()) / (model.spread[v] * misfit[v])
        sd[v] = np.sqrt(1 / (votes * each + 1 / SD_ALONE**2) + shared**2)
    return sd


def share_sd(model: LabelModel) -> Floats:
    """Return the standard deviations of the covered records' class shares, float64 [K].

    They combine an error of each LF alone, one that all LFs of a class share, and a floor.
    """
    own = model.own[:, None] == np.arange(model.classes)
    weight = model.cast * np.repeat(model.witnesses, model.classes)
    weight = weight / max(weight.sum(), 1e-12)
    wrong = np.maximum(1 - model.right, 1e-6)[:, None]
    moved = weight[:, None] * np.where(own, 1.0, -model.pi / wrong)
    sd = np.nan_to_num(model.sd, nan=SD_ALONE)
    alone = np.maximum(sd**2 - SD_SHARED**2, 0.0)
    shared = np.stack([np.abs(moved[own[:, a]].sum(axis=0)) for a in range(model.classes)])
    variance = (moved**2 * alone[:, None]).sum(axis=0) + (shared**2).sum(axis=0) * SD_SHARED**2
    return np.asarray(np.sqrt(variance + SD_SHARE**2))
