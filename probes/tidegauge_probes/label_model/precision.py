"""How right each LF is in one window, without labels: from the window's counts alone.

The covariance of two LFs' votes that are independent given the class is

    C_ia,jb = Σ_k p_k (e_ia,k − μ_ia)(e_jb,k − μ_jb),   e_ia,k = P(LF i votes a | class k)

so with all other LFs frozen at the label model, LF i's row is a small weighted least-squares
problem (moments; cf. Ratner et al. 2019, Fu et al. 2020). The class shares come first: most of
what looks like LFs getting worse is the mix of classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.label_model.model import MIN_LFS, LabelModel
from tidegauge_probes.lazy import LazyModule

optimize = LazyModule("scipy.optimize", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MIN_VOTES: Final = 20
"""Votes in the window; with fewer nothing is said of that vote's precision."""

MIN_RECORDS: Final = 2_000
"""With fewer the intervals are too wide to be of use: add the windows before (``pooled``)."""

MOST_WINDOWS: Final = 24
"""Windows added up at most; what a day ago was is not now."""

MOST_ERRORS: Final = 0.05
"""An LF that failed on a larger share of the records is neither judged nor used on others: what it
says is no longer what its baseline knows."""

MIN_STRENGTH: Final = 0.5
"""Sum of squared correlations of the other LFs with the class. Below it the window's LFs know too
little of the class to judge one of their own."""

CHANGED_Z: Final = 5.0
"""An LF this many standard errors off what its accuracy at baseline explains has changed."""

MOST_ROUNDS: Final = 30
"""Of reweighting, until class shares change by less than ENOUGH."""

ENOUGH: Final = 1e-4

Z95: Final = 1.959964


@dataclass(frozen=True, eq=False)
class PairCounts:
    """What precision is estimated from: additive, and far smaller than a pane.

    ``gram``: int64 [mK, mK], as in ``PaneCounts``. ``errors``: int64 [m]. ``windows``: how many.
    """

    records: int
    gram: Ints
    errors: Ints
    windows: int = 1

    @classmethod
    def of(cls, counts: PaneCounts) -> PairCounts:
        """Take it from the counts of a window."""
        return cls(counts.records, counts.gram, counts.all.errors)

    @property
    def shares(self) -> Floats:
        """Share of the records on which each vote is cast, float64 [mK]."""
        return np.asarray(np.diag(self.gram) / max(self.records, 1))

    @property
    def working(self) -> Mask:
        """LFs that did not fail too often to be judged, or used on others, bool [m]."""
        return np.asarray(self.errors <= MOST_ERRORS * self.records)

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts(
            self.records + other.records,
            self.gram + other.gram,
            self.errors + other.errors,
            self.windows + other.windows,
        )


def pooled(newest_first: Iterable[PairCounts]) -> PairCounts | None:
    """Add up windows, the newest first, until there are MIN_RECORDS; None if there are not."""
    total: PairCounts | None = None
    for window in islice(newest_first, MOST_WINDOWS):
        total = window if total is None else total + window
        if total.records >= MIN_RECORDS:
            return total
    return None


@dataclass(frozen=True, eq=False)
class Precision:
    """What a window says of its LFs.

    ``prior``: float64 [K], class shares. ``value``, ``low``, ``high``: float64 [m, K], P(class is
    k | LF i votes k) and its 95 % interval, NaN where too little is known. ``expected``: the same
    at the baseline's accuracies under this window's class shares: what the mix alone explains.
    ``off``: how many standard errors, of window and baseline, lie between value and expected.
    ``strength``: float64 [m, K], how well the other LFs know that class. ``trusted``: bool [m], the
    LFs that others were judged by.
    """

    prior: Floats
    value: Floats
    low: Floats
    high: Floats
    expected: Floats
    off: Floats
    strength: Floats
    trusted: Mask

    @property
    def changed(self) -> Mask:
        """LFs and votes that neither chance nor the mix of classes explains, bool [m, K]."""
        return np.asarray(np.nan_to_num(self.off) > CHANGED_Z)


def class_shares(model: LabelModel, shares: Floats, records: int, trusted: Mask) -> Floats:
    """Return class shares, float64 [K]: weighted least squares of μ_ia = Σ p_k e_ia,k, robustly.

    *shares*: μ, float64 [mK], of the *records* on which each vote is cast; *trusted*: the LFs to
    use, bool [m]. The baseline's shares if nothing was voted on. LFs that vote unlike most (they
    died, say) must not pull the shares: what is further off than counting explains is weighed by
    its distance, not by its square (Huber 1964).
    """
    used = trusted_votes(model, trusted)
    vote_emission, mu, found = model.vote_emission[used], shares[used], model.prior
    if not mu.any():
        return found
    # 1.345 standard errors of counting, as a share of √(μ(1 − μ)): Huber's choice, which costs 5 %
    # of efficiency where nothing is off.
    spread = 1.345 * max(records, 1) ** -0.5
    weight = np.ones(len(mu))
    for _ in range(MOST_ROUNDS):
        before = found
        due = np.clip(vote_emission @ found, 1e-9, 1 - 1e-9)
        root = np.sqrt(weight / (due * (1 - due)))
        heavy = 1e3 * root.max()  # Σ p = 1, as one more equation
        left = np.vstack([vote_emission * root[:, None], np.full(model.classes, heavy)])
        found, _ = optimize.nnls(left, np.append(mu * root, heavy))
        found = np.maximum(found, 1e-6)
        found /= found.sum()
        if np.abs(found - before).max() < ENOUGH:
            break
        due = np.clip(vote_emission @ found, 1e-9, 1 - 1e-9)
        off = np.abs(mu - due) / np.sqrt(due * (1 - due))
        weight = spread / np.maximum(off, spread)
    return np.asarray(found)


def trusted_votes(model: LabelModel, trusted: Mask) -> Mask:
    """Return which votes tell of the classes, bool [mK]."""
    return np.asarray(model.known.ravel() & np.repeat(trusted, model.classes))


def of_window(model: LabelModel, counts: PairCounts) -> Precision:
    """Estimate the class shares, and every LF's precision, in a window or several.

    An LF that has changed would spoil the figures of all others, which are measured by it. So the
    one that is furthest off is not used on others any more, and the rest is estimated again, until
    none is off by more than chance.
    """
    working = counts.working
    trusted = working & model.witnesses
    while True:
        found = _with_trusted(model, counts, working, trusted)
        worst = np.nan_to_num(found.off * trusted[:, None]).max(axis=1)
        changed = int(worst.argmax())
        # Half of the LFs, and three, are always kept: if most changed at once, nobody is left who
        # could say which.
        if worst[changed] <= CHANGED_Z or trusted.sum() <= max(MIN_LFS, len(trusted) / 2):
            return found
        trusted[changed] = False


def _with_trusted(model: LabelModel, counts: PairCounts, working: Mask, trusted: Mask) -> Precision:
    k, m = model.classes, len(model.emission)
    n = max(counts.records, 1)
    mu, vote_emission = counts.shares, model.vote_emission
    prior = class_shares(model, mu, counts.records, trusted)
    # Votes on 10 % and on 20 % of the records, together on 5 %: chance makes 2 % of that. The
    # other 3 % are what both know of the class.
    covariance = counts.gram / n - np.outer(mu, mu)
    # An LF that votes more or less often than the classes explain, and is as right, has its says
    # scaled: else those it is used on would look less right than they are.
    due = vote_emission @ prior
    centred = (vote_emission - due[:, None]) * (mu / np.maximum(due, 1e-12))[:, None]
    weight = 1 / np.maximum(mu * (1 - mu), 1e-12)
    voted = model.known.ravel() & np.repeat(working, k) & (mu * n >= MIN_VOTES)
    shape = (m, k)
    value, error, strength = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    for i in range(m):
        others = voted & np.repeat(trusted & ~model.dependent[i], k)
        known = (prior * centred[others]) ** 2 * weight[others, None]
        strength[i] = known.sum(axis=0) / (prior * (1 - prior))
        for a in np.flatnonzero(voted[i * k : (i + 1) * k]):
            if strength[i, a] < MIN_STRENGTH:
                continue
            row = covariance[i * k + a, others]
            deviation = _row(row, prior, centred[others], weight[others])
            share = float(np.clip(prior[a] * (1 + deviation[a] / mu[i * k + a]), 0, 1))
            votes, p = n * mu[i * k + a], prior[a]
            value[i, a], error[i, a] = share, np.sqrt(variance(share, p, votes, strength[i, a]))
    expected = model.precision(prior)
    # What the others are frozen at was found in a sample, and is about as unsure as this would be
    # in a window of that sample's votes.
    seen = np.maximum(model.votes, 1)
    baseline = variance(expected, prior, seen, np.maximum(strength, MIN_STRENGTH))
    error = np.sqrt(error**2 + baseline)
    low, high = np.clip(value - Z95 * error, 0, 1), np.clip(value + Z95 * error, 0, 1)
    off = np.abs(value - expected) / error
    return Precision(prior, value, low, high, expected, off, strength, trusted.copy())


def variance(
    right: Floats | float, prior: Floats | float, votes: Floats | Ints | float, strength: Floats
) -> Floats:
    """Return that of the precision of *votes* for a class of share *prior*, judged by others.

    *right*: the precision itself; *strength*: how well the others know the class.
    """
    return np.asarray(right * (1 - right) / votes + prior * (1 - prior) / (votes * strength))


def _row(row: Floats, prior: Floats, centred: Floats, weight: Floats) -> Floats:
    """Return e_ia,k − μ_ia for each class: least squares under Σ_k p_k (e_ia,k − μ_ia) = 0."""
    k = len(prior)
    # With two classes of shares ¼ and ¾ the unknowns are multiples of (3, −1): one number to find,
    # not two, and the constraint holds exactly.
    free = orthogonal_to(prior)  # [K, K − 1]: what is left of K unknowns
    left = (centred * prior) @ free * np.sqrt(weight)[:, None]
    normal = left.T @ left + 1e-12 * np.eye(k - 1)
    solved = np.linalg.solve(normal, left.T @ (row * np.sqrt(weight)))
    return np.asarray(free @ solved)


def orthogonal_to(prior: Floats) -> Floats:
    """Return an orthonormal basis of the vectors v with Σ p_k v_k = 0, [K, K − 1]."""
    q, _ = np.linalg.qr(np.column_stack([prior, np.eye(len(prior))[:, 1:]]))
    return np.asarray(q[:, 1:])
