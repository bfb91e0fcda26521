"""Series that no single LF shows: the mix of classes, and the deployed model's precision.

Both are estimated from all LFs together (``ratios``, ``precision``) and stored as x of n like all
other series, so that one scan watches everything. Since they are estimates and not counts, n is how
many records of known class would tell as much, and x is the estimated share of those. A label model
that does not know the class shares of all records has no such series
(``LabelModel.shares_followed``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import RECORDS, PaneCounts, SegmentCounts
from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind
from tidegauge_probes.label_model.limits import MIN_VOTES
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind
from tidegauge_probes.label_model.precision import MOST_ERRORS, PairCounts, of_window
from tidegauge_probes.label_model.ratios import ratios, sharpened
from tidegauge_probes.model import Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Consensus:
    """A label model, reduced to what these series need.

    ``worth``: float64 [K], how many records of known class one record is worth when the share of a
    class is estimated.
    """

    model: LabelModel
    worth: Floats

    @classmethod
    def of(cls, model: LabelModel | None, total: PaneCounts) -> Consensus | None:
        """Compute the worth from the baseline's *total*, which allows for dependent votes.

        None without a label model, or if its class shares are not known well enough.
        """
        if model is None or not model.shares_followed:
            return None
        return cls(model, _worth(model, PairCounts.of(total)))

    def keys(self, layout: Layout, segments: Sequence[str]) -> list[SeriesKey]:
        """Name the series, in the order of ``extract``."""
        share, precise = SeriesKind.CLASS_SHARE, SeriesKind.PRECISION
        names, classes = layout.probes, layout.classes
        keys = [SeriesKey(share, s, label=classes[k]) for s in segments for k in self._followed]
        return keys + [SeriesKey(precise, ALL, names[i], label=classes[k]) for i, k in self._judged]

    def extract(self, counts: PaneCounts, segments: Sequence[SegmentCounts]) -> tuple[Ints, Ints]:
        """Return x and n of each series, int64 [S] each; n is 0 where nothing is known."""
        whole = PairCounts.of(counts)
        found = of_window(self.model, whole)
        shares = [self._of_segment(segment, found.trusted) for segment in segments]
        # That many labelled votes would make the precision as certain; never more than were
        # cast.
        votes = np.diag(whole.gram).reshape(found.value.shape)
        sure = found.expected * (1 - found.expected) / np.maximum(found.sampling, 1e-6) ** 2
        size = np.minimum(np.nan_to_num(sure), votes)
        rows = tuple(np.array(self._judged, dtype=np.int64).reshape(-1, 2).T)
        x, n = _rounded(np.nan_to_num(found.value)[rows], size[rows])
        return (
            np.concatenate([*(x for x, _ in shares), x]),
            np.concatenate([*(n for _, n in shares), n]),
        )

    @property
    def _followed(self) -> Sequence[int]:
        """Classes whose share is followed; with two classes, one is enough."""
        classes = self.model.classes
        return range(classes) if classes > 2 else range(1, classes)  # noqa: PLR2004

    @property
    def _judged(self) -> list[tuple[int, int]]:
        """(LF, class) of LFs that are evaluated but evaluate no others: the deployed model."""
        known = self.model.known & ~self.model.witnesses[:, None]
        return [(int(i), int(k)) for i, k in np.argwhere(known)]

    def _of_segment(self, segment: SegmentCounts, trusted: Mask) -> tuple[Ints, Ints]:
        records = int(segment.totals[RECORDS])
        working = trusted & (segment.errors <= MOST_ERRORS * records)
        votes = segment.outcomes[:, : self.model.classes]
        followed = list(self._followed)
        if not votes[working][self.model.known[working]].any():
            nothing = np.zeros(len(followed), dtype=np.int64)
            return nothing, nothing
        used = np.repeat(working, self.model.classes)
        told = ratios(self.model, votes.ravel() / records, records, used)
        shares = told.shares(self.model.prior)
        return _rounded(shares[followed], records * self.worth[followed])


def _worth(model: LabelModel, total: PairCounts) -> Floats:
    """Return p(1 − p)/(n·Var p̂) of each class share that ``ratios`` finds, float64 [K].

    The variance is the sandwich estimator of its weighted least squares at r = 1: r̂ = 1 + F t,
    where F spans the directions that keep Σ p r = 1 (where that holds), t̂ = (AᵀA)⁻¹ AᵀW^½
    (μ − B 1), A = W^½ B F, B_vk = μ_v π_vk, cov μ = (Gram/n − μμᵀ)/n, and p̂_k = p_k r_k/Σ p r.
    """
    used = np.repeat(total.working & model.witnesses, model.classes) & (model.cast >= MIN_VOTES)
    mu = total.shares[used]
    if not mu.any():
        return np.zeros(model.classes)
    prior, k = model.prior, model.classes
    covariance = total.gram[np.ix_(used, used)] / total.records - np.outer(mu, mu)
    root = 1 / np.sqrt(np.maximum(mu * (1 - mu), 1e-12))
    held = model.kind is LabelModelKind.FULL
    free = orthogonal_to(prior) if held else np.eye(k)
    by_class = mu[:, None] * sharpened(model)[used]
    solve = free @ np.linalg.pinv(root[:, None] * (by_class @ free)) * root
    solve = (np.diag(prior) - np.outer(prior, prior)) @ solve
    variance = np.einsum("ka,ab,kb->k", solve, covariance, solve)
    return np.asarray(np.clip(prior * (1 - prior) / np.maximum(variance, 1e-12), 0, 1))


def orthogonal_to(prior: Floats) -> Floats:
    """Return an orthonormal basis of the vectors v with Σ p_k v_k = 0, [K, K − 1]."""
    q, _ = np.linalg.qr(np.column_stack([prior, np.eye(len(prior))[:, 1:]]))
    return np.asarray(q[:, 1:])


def _rounded(share: Floats, size: Floats) -> tuple[Ints, Ints]:
    n = np.rint(size).astype(np.int64)
    return np.rint(share * n).astype(np.int64), n
