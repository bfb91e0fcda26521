"""How many times as common as at baseline each class is, from vote counts alone.

With μ_v the share of records on which vote v is cast, now and at baseline (0),

    μ_v ≈ μ0_v Σ_k π_vk r_k

is solved by robust least squares (Huber 1964) with r ≥ 0: LFs that died, or that vote unlike all
the others, hardly pull the ratios. One more, weak observation says that r is 1. No class shares are
needed: a wrong share at baseline does not spoil the ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model.limits import MIN_VOTES, SD_ALONE
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind
from tidegauge_probes.lazy import LazyModule

optimize = LazyModule("scipy.optimize", extra="statistics")

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

HUBER: Final = 1.345
"""Standard errors beyond which a vote is weighted by its distance, not by its square."""

MOST_ROUNDS: Final = 30
"""Maximum rounds of reweighting; it ends when the ratios change by less than ENOUGH."""

ENOUGH: Final = 1e-4
LEAST: Final = 1e-3
"""Ratio of a class that has disappeared."""

MOST_RIGHT: Final = 0.98
"""Highest precision assumed of a vote when mixes are told apart."""

MOST_OFF: Final = 10.0
"""Maximum standard errors that one vote adds to the doubt."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """``value``: float64 [K], 1 where nothing moved. ``covariance``: float64 [K, K]."""

    value: Floats
    covariance: Floats

    def shares(self, prior: Floats) -> Floats:
        """Return the class shares now, float64 [K], given those at baseline."""
        if (self.value == 1).all():
            return prior
        moved = prior * self.value
        return np.asarray(moved / moved.sum())


def unmoved(model: LabelModel) -> Ratios:
    """Return the ratios for a window that says nothing."""
    return Ratios(np.ones(model.classes), np.eye(model.classes))


def ratios(model: LabelModel, shares: Floats, records: int, used: Mask) -> Ratios:
    """Return the ratios of a window.

    *shares*: μ, float64 [mK], of its *records*; *used*: bool [mK], the votes to use. Votes that
    were rare at baseline are left out.
    """
    used = used & (model.cast >= MIN_VOTES)
    if not shares[used].any():
        return unmoved(model)
    n, before = max(records, 1), max(model.records, 1)
    by_class = (model.cast[used] / before)[:, None] * sharpened(model)[used]
    found, weight = np.ones(model.classes), np.ones(len(by_class))
    off = root = weight
    # What adds up to 1 at baseline still does, if the shares are those of all records.
    fixed = model.prior[None] if model.kind is LabelModelKind.FULL else None
    for _ in range(MOST_ROUNDS):
        last = found
        sd = np.sqrt(np.maximum(by_class @ found, 0.5 / n) * (1 / n + 1 / before))
        root = np.sqrt(weight) / sd
        found = _solved(by_class * root[:, None], shares[used] * root, fixed, 1e3 * root.max())
        off = np.abs(shares[used] - by_class @ found) / sd
        weight = HUBER / np.maximum(off, HUBER)
        if np.abs(found - last).max() < ENOUGH:
            break
    # The less the LFs agree on a move, the less certain it is.
    doubt = max(1.0, float(np.mean(np.minimum(off, MOST_OFF) ** 2)))
    told = by_class * root[:, None]
    information = told.T @ told + np.eye(model.classes)
    return Ratios(found, np.asarray(np.linalg.inv(information) * doubt))


def _solved(left: Floats, right: Floats, fixed: Floats | None, heavy: float) -> Floats:
    k = left.shape[1]
    rows, due = [left, np.eye(k)], [right, np.ones(k)]
    if fixed is not None:
        rows, due = [*rows, fixed * heavy], [*due, np.array([heavy])]
    found, _ = optimize.nnls(np.vstack(rows), np.concatenate(due))
    return np.asarray(np.maximum(found, LEAST))


def sharpened(model: LabelModel) -> Floats:
    """Return π with each vote's own class raised by one standard deviation, float64 [mK, K].

    A vote's errors that are not known for sure must not be charged to the other classes: those
    would lose them twice, and their ratio would fall to 0.
    """
    if model.kind is LabelModelKind.FULL:
        return model.pi
    better = np.minimum(model.right + np.nan_to_num(model.sd, nan=SD_ALONE), MOST_RIGHT)
    better = np.maximum(better, model.right)
    rest = (1 - better) / np.maximum(1 - model.right, 1e-9)
    found = model.pi * rest[:, None]
    found[np.arange(len(found)), model.own] = better
    return np.asarray(found)
