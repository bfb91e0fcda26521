"""Precision of each LF in a window, from how its counts differ from the baseline.

A label model never fits real votes exactly. But what it gets wrong at baseline it gets wrong in a
window, too. So a vote's company is not compared with the model's prediction, but with its own at
baseline, moved as the model predicts for the window: while nothing changes, the misfit cancels.

    expected company f = observed at baseline × model now / model then
    δ = Σ_w (observed_w − co f_w) c_w / (co Σ_w h_w c_w),   c = h/f, clipped and centred
    precision now = what the mix of classes explains + δ

where h is the direction in which the company moves when the vote is right more often (``company``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.label_model.company import Company
from tidegauge_probes.label_model.limits import MIN_LFS, MIN_VOTES
from tidegauge_probes.label_model.model import MOST_SD, LabelModel, LabelModelKind
from tidegauge_probes.label_model.ratios import Ratios, ratios, unmoved

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MIN_RECORDS: Final = 2_000
"""With fewer, the intervals are too wide to be useful: add earlier windows (``pooled``)."""

MOST_WINDOWS: Final = 24
"""Maximum number of windows added up; what was true a day ago may no longer be."""

MOST_ERRORS: Final = 0.05
"""An LF that failed on a larger share of the records is neither evaluated nor used to evaluate
others: it no longer matches its baseline."""

LEAST_COMPANY: Final = 5.0
"""Minimum co-votes in the window and at baseline; with fewer, nothing is reported about a vote."""

ENOUGH_COMPANY: Final = 20.0
"""Independent co-votes, in the window and at baseline, that it takes to call a vote changed."""

CHANGED_Z: Final = 4.0
LEAST_CHANGE: Final = 0.10
"""A vote has changed if it is off by this many standard errors, and by at least this much."""

SAME_WORLD: Final = 4.0
SAME_WORLD_SHARE: Final = 0.02
"""Where a class of at least this share has become so many times as common, or as rare, the window
cannot be compared: no vote is called changed, and a new baseline is needed."""

PSEUDO_COMPANY: Final = 5.0
"""Co-votes of the model that are added to those observed at baseline."""

SMOOTHED: Final = 20.0
"""Co-votes of the model that are added when the scatter at baseline is estimated."""

MOST_SCORE: Final = 4.0
"""Scores are clipped at this many times their root mean square."""

LEAST_DIRECTION: Final = 1e-3
"""Minimum Σ h c; below it, the witnesses cannot tell the classes apart."""

LEAST_MOVE: Final = 1e-6
"""Minimum move of co-votes; for a smaller one, the slope at its start is used."""

MIX_DOUBT: Final = 0.5
"""Share of what a changed mix explains that may be explained wrongly."""

CHANGE_DOUBT: Final = 0.3
"""Share of a change that may be a change of the company instead."""

UNKNOWN_SD: Final = 0.3
"""Standard deviation to assume where none is known."""

Z95: Final = 1.959964


@dataclass(frozen=True, eq=False)
class PairCounts:
    """The counts that precision is estimated from: additive, and far smaller than a pane.

    ``gram``: int64 [mK, mK], as in ``PaneCounts``. ``errors``: int64 [m]. ``windows``: number of
    windows.
    """

    records: int
    gram: Ints
    errors: Ints
    windows: int = 1

    @classmethod
    def of(cls, counts: PaneCounts) -> PairCounts:
        """Take them from the counts of a window."""
        return cls(counts.records, counts.gram, counts.all.errors)

    @property
    def shares(self) -> Floats:
        """Share of the records on which each vote is cast, float64 [mK]."""
        return np.asarray(np.diag(self.gram) / max(self.records, 1))

    @property
    def working(self) -> Mask:
        """LFs that failed rarely enough to be evaluated and to evaluate others, bool [m]."""
        return np.asarray(self.errors <= MOST_ERRORS * self.records)

    def __add__(self, other: PairCounts) -> PairCounts:
        """Add."""
        return PairCounts(
            self.records + other.records,
            self.gram + other.gram,
            self.errors + other.errors,
            self.windows + other.windows,
        )


def pooled(newest_first: Iterable[PairCounts]) -> PairCounts | None:
    """Add up windows, the newest first, until there are MIN_RECORDS; None if there are too few."""
    total: PairCounts | None = None
    for window in islice(newest_first, MOST_WINDOWS):
        total = window if total is None else total + window
        if total.records >= MIN_RECORDS:
            return total
    return None


@dataclass(frozen=True, eq=False)
class Precision:
    """Precision of the LFs in a window.

    ``prior``: float64 [K], class shares. ``value``, ``low``, ``high``: float64 [m, K], P(class is
    k | LF i votes k) and its 95 % interval, NaN where too little is known. ``expected``: the value
    at the baseline's accuracies under this window's mix of classes: what the mix alone explains.
    ``off``: standard errors (of window and baseline together) between value and expected; NaN where
    too little is known to call a change. ``changed``: bool [m, K], where neither chance nor the mix
    explains the value. ``shown``: bool [m, K], where the value is certain enough to be shown.
    ``strength``: float64 [m, K], how many certain co-votes would tell as much. ``sampling``:
    float64 [m, K], standard error of the value from the window's own scatter. ``trusted``: bool
    [m], the LFs used to evaluate others. ``ratios``: of the classes.
    """

    prior: Floats
    value: Floats
    low: Floats
    high: Floats
    expected: Floats
    off: Floats
    changed: Mask
    shown: Mask
    strength: Floats
    sampling: Floats
    trusted: Mask
    ratios: Ratios

    @property
    def judged(self) -> Mask:
        """Votes with enough data to be called changed, whether they are or not, bool [m, K]."""
        return np.asarray(~np.isnan(self.off))


def of_window(model: LabelModel, counts: PairCounts) -> Precision:
    """Estimate the mix of classes, and every LF's precision, in one window or several.

    An LF that has changed would spoil the figures of all the others, which are measured against it.
    So the LF that is furthest off no longer evaluates others, and everything is estimated again,
    until no LF is off by more than chance.
    """
    trusted = counts.working & model.witnesses
    while True:
        found = _with_trusted(model, counts, trusted)
        off = np.where(found.changed & trusted[:, None], np.nan_to_num(found.off), 0.0)
        worst = off.max(axis=1, initial=0.0)
        changed = int(worst.argmax()) if len(worst) else 0
        if not worst.any() or trusted.sum() <= max(MIN_LFS, len(trusted) / 2):
            return found
        trusted = trusted.copy()
        trusted[changed] = False


@dataclass(frozen=True, eq=False)
class _Window:
    """The window as the model sees it.

    ``moved``: float64 [mK], how many times as often as the mix explains each vote is cast;
    ``expected``: float64 [mK, K], P(class | vote) under the mix.
    """

    model: LabelModel
    counts: PairCounts
    trusted: Mask
    cast: Floats
    ratio: Floats
    covariance: Floats
    expected: Floats
    moved: Floats

    @classmethod
    def of(cls, model: LabelModel, counts: PairCounts, trusted: Mask) -> tuple[_Window, Ratios]:
        n, before = max(counts.records, 1), max(model.records, 1)
        cast = np.diag(counts.gram).astype(np.float64)
        used = np.repeat(trusted, model.classes)
        known = model.compares
        told = ratios(model, cast / n, counts.records, used) if known else unmoved(model)
        ratio = np.maximum(told.value, 0.02)
        mixed = model.pi @ ratio
        due = model.cast / before * mixed
        moved = np.where(model.cast > 0, cast / n / np.maximum(due, 1e-15), 0.0)
        expected = model.pi * ratio / mixed[:, None]
        window = cls(model, counts, trusted, cast, ratio, told.covariance, expected, moved)
        return window, told


@dataclass(frozen=True, slots=True)
class _Change:
    """One vote's δ, its standard error, the part due to the window's co-votes, and ``strength``.

    ``enough``: whether there are enough co-votes, then and now, to call it changed.
    """

    delta: float
    error: float
    sampling: float
    strength: float
    enough: bool


def _with_trusted(model: LabelModel, counts: PairCounts, trusted: Mask) -> Precision:
    window, told = _Window.of(model, counts, trusted)
    every = len(model.pi)
    delta, error, off, sampling = (np.full(every, np.nan) for _ in range(4))
    strength = np.zeros(every)
    judged = np.repeat(counts.working, model.classes) & (window.cast >= MIN_VOTES)
    judged &= (model.cast >= MIN_VOTES) & model.compares
    for v in np.flatnonzero(judged):
        change = _change(window, int(v))
        if change is None:
            continue
        delta[v], error[v], sampling[v] = change.delta, change.error, change.sampling
        strength[v] = change.strength
        off[v] = abs(change.delta) / change.error if change.enough else np.nan
    return _figures(window, told, delta, error, off, sampling, strength)


def _figures(  # noqa: PLR0917
    window: _Window,
    told: Ratios,
    delta: Floats,
    error: Floats,
    off: Floats,
    sampling: Floats,
    strength: Floats,
) -> Precision:
    model = window.model
    shape = (model.lfs, model.classes)
    places = np.arange(len(model.pi))
    due = window.expected[places, model.own]
    value = np.clip(due + delta, 0, 1)
    sd = _value_sd(model, delta, error, sampling)
    large = model.prior >= SAME_WORLD_SHARE
    same = not (np.abs(np.log(window.ratio[large])) > np.log(SAME_WORLD)).any()
    changed = (np.nan_to_num(off) > CHANGED_Z) & (np.abs(np.nan_to_num(delta)) >= LEAST_CHANGE)
    known = np.where(model.known.ravel(), due, np.nan)
    return Precision(
        prior=told.shares(model.prior),
        value=value.reshape(shape),
        low=np.clip(value - Z95 * sd, 0, 1).reshape(shape),
        high=np.clip(value + Z95 * sd, 0, 1).reshape(shape),
        expected=known.reshape(shape),
        off=off.reshape(shape),
        changed=(changed & same).reshape(shape),
        shown=(np.nan_to_num(sd, nan=1.0) <= MOST_SD).reshape(shape),
        strength=strength.reshape(shape),
        sampling=sampling.reshape(shape),
        trusted=window.trusted.copy(),
        ratios=told,
    )


def _value_sd(model: LabelModel, delta: Floats, error: Floats, sampling: Floats) -> Floats:
    """Return the standard deviation of each value, float64 [mK].

    For kind ``full``, the votes passed the check that the model holds. What the window's company
    says then does not depend on the mix, and the baseline's scatter is already in its own error.
    """
    checked = model.kind is LabelModelKind.FULL
    doubt = sampling if checked else error
    known = np.nan_to_num(doubt, nan=UNKNOWN_SD) ** 2
    known += np.nan_to_num(model.sd, nan=UNKNOWN_SD) ** 2
    company = 0.0 if checked else CHANGE_DOUBT * delta
    return np.asarray(np.sqrt(known + company**2))


def _change(window: _Window, v: int) -> _Change | None:
    """Compare the company of vote *v* with its own at baseline; None if data are too few."""
    model, own = window.model, int(window.model.own[v])
    full = model.kind is LabelModelKind.FULL
    company = Company.of(model, v, window.trusted)
    some = window.moved[company.votes] > 0
    company = company.moved(some, np.ones(len(some)), counts=full)
    votes = company.votes
    now = window.counts.gram[v, votes].astype(np.float64)
    then = model.gram[v, votes]
    co, co_then = float(now.sum()), float(then.sum())
    if min(co, co_then) < LEAST_COMPANY:
        return None
    # The model's company then and now, and the one observed then, moved as the model predicts.
    due_then = company.shares(model.pi[v])
    company = company.moved(np.ones(len(votes), np.bool_), window.moved[votes], counts=full)
    due_now = company.shares(window.expected[v])
    seen = (then + PSEUDO_COMPANY * due_then) / (co_then + PSEUDO_COMPANY)
    due = seen * due_now / np.maximum(due_then, 1e-12)
    due /= due.sum()
    h = company.direction(window.expected[v], own)
    score = _clipped(h / np.maximum(due, 1e-9), due)
    direction = float(h @ score)
    if direction <= LEAST_DIRECTION:
        return None
    moved = float((now - co * due) @ score) / (co * direction)
    delta = company.precision(window.expected[v], own, moved) - float(window.expected[v, own])
    # Where their number depends on the class, too, more co-votes do not mean more precision.
    slope = delta / moved if abs(moved) > LEAST_MOVE else company.slope(window.expected[v], own)
    direction /= slope
    squared, both = score**2, then + now
    # Copies among the witnesses repeat one thing, however rarely they did at baseline.
    copied = float(both @ (squared * model.copies[votes])) / max(float(both @ squared), 1e-12)
    spread = max(float(model.spread[v]), copied)
    due_scatter = co * float(due @ squared)
    scatter = spread * max(float(now @ squared), due_scatter) / co**2
    # If nothing changed, both were drawn alike, so the window shows how much the baseline scatters.
    smooth = float((then + SMOOTHED * due_then) @ squared) / (co_then + SMOOTHED)
    smooth = max(smooth, float(both @ squared) / (co_then + co))
    scatter_then = spread * smooth * (1 + 10 / co_then) / co_then
    pairs = np.ix_(votes, votes)
    rates_now = _rates(window.counts.gram[pairs], due * score)
    rates_then = _rates(model.gram[pairs], due * score)
    one = float(np.abs(score).max()) / min(co, co_then)  # the effect of a single record
    variance = (scatter + scatter_then + rates_now + rates_then + one**2) / direction**2
    return _Change(
        delta,
        float(np.sqrt(variance + _doubt(window, v, own))),
        float(np.sqrt(spread * due_scatter / co**2 + rates_now)) / direction,
        co * direction / spread,
        min(co, co_then) / spread >= ENOUGH_COMPANY,
    )


def _rates(gram: Floats | Ints, weight: Floats) -> float:
    """Return the variance that comes from how often the witnesses vote at all.

    Copies vote alike, so they scatter together: Σ_vw a_v G_vw a_w, with a the *weight* of each
    witness over its votes. (The mean is 0, so the term that makes G a covariance drops out.)
    """
    each = weight / np.maximum(np.diag(gram), 1)
    return max(float(each @ gram @ each), 0.0)


def _clipped(score: Floats, due: Floats) -> Floats:
    """Return scores that no single vote dominates, and whose mean is 0."""
    most = MOST_SCORE * float(np.sqrt(max(float(due @ score**2), 1e-12)))
    score = np.clip(score, -most, most)
    return np.asarray(score - due @ score)


def _doubt(window: _Window, v: int, own: int) -> float:
    """Return the variance of what the mix explains: from the ratios, and from the model."""
    right = window.expected[v, own]
    gradient = right * (np.eye(len(window.ratio))[own] - window.expected[v]) / window.ratio
    checked = window.model.kind is LabelModelKind.FULL
    moved = 0.0 if checked else MIX_DOUBT * (right - window.model.pi[v, own])
    return float(gradient @ window.covariance @ gradient + moved**2)
