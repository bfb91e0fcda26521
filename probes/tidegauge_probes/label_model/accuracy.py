"""How right the deployed model is on live traffic, without labels: from gold labels at baseline.

Mandoline (Chen, Goel, Sohoni, Poms, Fatahalian & Ré 2021): records with gold labels are weighted so
that the LFs see the same traffic in them as in the window, and the model's accuracy on them is
averaged by those weights. Here in two steps, the first of which is for the mix of classes:

    w(x) ∝ r(y) · exp(θ·ψ(x))

with y the gold label, r how many times as common its class is as at baseline, as the label model
finds it (``ratios``), and ψ the one-hot votes. The ratio, not the shares: where the label model is
wrong about a share, it is wrong about it then and now, and the accuracy must not move for that. θ
has the largest likelihood (KLIEP): it maximises θ·μ − ln Σ w₀ exp(θ·ψ), where μ are the window's
shares of each vote. So the window need only be counted. Without the first step weak LFs follow
another mix of classes halfway only, for the ratio of densities is no exponential of their votes
then.

What no LF sees cannot be weighed: where the model fails on records that look to all LFs like those
it is right on, the estimate stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.label_model.limits import MIN_LFS
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Outcomes

optimize = LazyModule("scipy.optimize", extra="statistics")
special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_GOLD: Final = 5_000
"""Number of gold records to keep, drawn uniformly: enough to know the accuracy to 1 %."""

MIN_GOLD: Final = 200
"""With fewer gold records, no accuracy is reported."""

MIN_EFFECTIVE: Final = 50.0
"""Gold records, as many as the weighted ones are worth. Below it the window is traffic that the
gold records hardly hold."""

MIN_SHARE: Final = 0.002
"""A vote cast on a smaller share of the gold records is not matched: a handful would carry it."""

RIDGE: Final = 1e-3
"""Penalty on θ: votes that nearly always come together have no weights of their own."""

_Z95: Final = 1.959964


@dataclass(frozen=True, eq=False)
class Gold:
    """Records whose label is known.

    ``outcomes``: int8 [n, m]. ``labels``: int64 [n]. ``model``: the column of the deployed model,
    which votes on each of them. ``classes``: K.
    """

    outcomes: Outcomes
    labels: Ints
    model: int
    classes: int

    @cached_property
    def psi(self) -> Floats:
        """Return the one-hot votes, float64 [n, mK], column j·K + k for LF j and class k."""
        one_hot = self.outcomes[:, :, None] == np.arange(self.classes, dtype=np.int8)
        n, m = self.outcomes.shape
        return np.asarray(one_hot.reshape(n, m * self.classes), dtype=np.float64)

    @property
    def right(self) -> Mask:
        """Whether the model was right, bool [n]."""
        return np.asarray(self.outcomes[:, self.model] == self.labels)

    @property
    def accuracy(self) -> float:
        """Accuracy on the gold records as they are; NaN without any."""
        return float(self.right.mean()) if len(self.labels) else float("nan")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a window says of the model: ``value`` with its 95 % interval.

    ``baseline``: on the gold records as they are. ``effective``: as many gold records as the
    weighted ones are worth (Kish).
    """

    baseline: float
    value: float
    low: float
    high: float
    effective: float


def estimate(gold: Gold, shares: Floats, ratios: Floats, working: Mask) -> Accuracy | None:
    """Return the accuracy on traffic of those votes and classes, or None if it is unknown.

    *shares*: of each vote in the window, float64 [mK]; *ratios*: of each class, float64 [K], to its
    share among the gold records, all 1 where the label model tells no classes apart;
    *working*: bool [m], LFs whose votes are to be matched, for they hardly failed. The interval
    is Wilson's at the effective number of records: it holds the chance of the gold records, not
    that of the window.
    """
    if len(gold.labels) < MIN_GOLD or not working[gold.model] or working.sum() <= MIN_LFS:
        return None
    seen = gold.psi.mean(axis=0)
    matched = (seen >= MIN_SHARE) & (seen <= 1 - MIN_SHARE) & np.repeat(working, gold.classes)
    by_class = np.log(np.maximum(ratios, 1e-9))[gold.labels]
    weights = _weights(by_class, gold.psi[:, matched], shares[matched])
    effective = float(1 / (weights @ weights))
    if effective < MIN_EFFECTIVE:
        return None
    value = float(weights @ gold.right)
    low, high = _wilson(value, effective)
    return Accuracy(gold.accuracy, value, low, high, effective)


def _weights(start: Floats, psi: Floats, shares: Floats) -> Floats:
    """Return weights of the rows, float64 [n], Σ = 1; *start*: the logarithms of w₀."""
    centred = psi - shares  # the likelihood is the same, and its scale is near 0

    def loss(theta: Floats) -> tuple[float, Floats]:
        score = start + centred @ theta
        value = special.logsumexp(score) + RIDGE / 2 * float(theta @ theta)
        return float(value), centred.T @ special.softmax(score) + RIDGE * theta

    found = optimize.minimize(loss, np.zeros(psi.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(special.softmax(start + centred @ found.x))


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927)."""
    z2 = _Z95 * _Z95 / n
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n)))
    return max(middle - half, 0.0), min(middle + half, 1.0)
