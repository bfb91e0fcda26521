"""Accuracy of the deployed model on live, unlabelled traffic, from gold labels at baseline.

Mandoline (Chen, Goel, Sohoni, Poms, Fatahalian & Ré 2021) weights the gold records so that the LFs
see the same traffic in them as in the window, and averages the model's accuracy by those weights.
Here the weights have two factors, the first of which corrects for the mix of classes:

    w(x) ∝ r(y) · exp(θ·ψ(x))

where y is the gold label, r how many times as common its class is as at baseline, as the label
model estimates it (``ratios``), and ψ the one-hot votes. We use the ratio rather than the shares:
where the label model is wrong about a share, it is wrong at baseline and now, and that must not
move the accuracy. θ maximises the likelihood (KLIEP), θ·μ − ln Σ w₀ exp(θ·ψ), where μ are the
window's shares of each vote, so the window only has to be counted. Without the first factor, weak
LFs would follow a changed mix of classes only halfway, because the ratio of densities is then not
an exponential function of their votes.

What no LF sees cannot be weighted: where the model fails on records that look, to every LF, like
the ones it gets right, the estimate does not change.
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
"""Effective number of gold records that is required. Below it, the gold records contain hardly any
traffic like the window's."""

MIN_SHARE: Final = 0.002
"""Votes cast on a smaller share of the gold records are not matched: a handful would decide."""

RIDGE: Final = 1e-3
"""Penalty on θ: votes that nearly always come together cannot be weighted separately."""

_Z95: Final = 1.959964


@dataclass(frozen=True, eq=False)
class Gold:
    """Records whose label is known.

    ``outcomes``: int8 [n, m]. ``labels``: int64 [n]. ``model``: the column of the deployed model,
    which votes on every record. ``classes``: K.
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
        """Unweighted accuracy on the gold records; NaN without any."""
        return float(self.right.mean()) if len(self.labels) else float("nan")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The model's accuracy in a window: ``value`` with its 95 % interval.

    ``baseline``: unweighted accuracy on the gold records. ``effective``: how many unweighted gold
    records would tell as much (Kish).
    """

    baseline: float
    value: float
    low: float
    high: float
    effective: float


def estimate(gold: Gold, shares: Floats, ratios: Floats, working: Mask) -> Accuracy | None:
    """Return the accuracy on traffic with these votes and classes, or None if it is unknown.

    *shares*: of each vote in the window, float64 [mK]. *ratios*: of each class to its share among
    the gold records, float64 [K], all 1 where the label model cannot tell classes apart.
    *working*: bool [m], LFs whose votes are matched because they hardly failed. The interval is
    Wilson's at the effective number of records: it covers the chance in the gold records, not
    that in the window.
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
    centred = psi - shares  # the likelihood is the same, and its scale stays near 0

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
