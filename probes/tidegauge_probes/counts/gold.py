"""LFs against gold labels: the numbers of Snorkel's ``LFAnalysis`` that need the truth.

Counts add over batches and windows; shares are computed from them. A record whose gold label is
unknown (−1) says nothing about any LF, and a record on which an LF failed nothing about that LF.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import CountsError
from tidegauge_probes.model import ABSTAIN, ERROR, Outcomes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BELOW_ZERO: Final = 2
"""Outcomes that are not classes: ``ABSTAIN`` and ``ERROR``."""


def confusions(outcomes: Outcomes, gold: npt.ArrayLike, classes: int) -> Ints:
    """Count what each LF said against the truth, int64 [m, K + 2, K].

    The second axis is that of ``SegmentCounts.outcomes``: votes, then abstains, then errors.
    *gold*: integers [n], a class, or −1 where it is unknown. CountsError if it does not fit.
    """
    truth = np.asarray(gold)
    n, m = outcomes.shape
    if truth.shape != (n,) or truth.dtype.kind not in "iu":
        msg = f"gold labels must be {n} integers, one per record, not {truth.dtype}{truth.shape}"
        raise CountsError(msg)
    if n and not ABSTAIN <= truth.min() <= truth.max() < classes:
        msg = f"gold labels must be in -1…{classes - 1}, not {truth.min()} to {truth.max()}"
        raise CountsError(msg)
    known = truth >= 0
    cast = outcomes[known].astype(np.int64)
    symbols = classes + _BELOW_ZERO
    rows = np.where(cast < 0, np.where(cast == ERROR, classes + 1, classes), cast)
    cells = (np.arange(m) * symbols + rows) * classes + truth[known, None].astype(np.int64)
    counted = np.bincount(cells.ravel(), minlength=m * symbols * classes)
    return np.asarray(counted, dtype=np.int64).reshape(m, symbols, classes)


def correct(counted: Ints) -> Ints:
    """Return how many votes of each LF were right, int64 [m]."""
    return np.asarray(np.einsum("ikk->i", counted[:, :-_BELOW_ZERO]), dtype=np.int64)


def incorrect(counted: Ints) -> Ints:
    """Return how many votes of each LF were wrong, int64 [m]."""
    votes = counted[:, :-_BELOW_ZERO].sum(axis=(1, 2))
    return np.asarray(votes - correct(counted), dtype=np.int64)


def empirical_accuracies(counted: Ints) -> Floats:
    """Return the share of each LF's votes that were right, float64 [m].

    NaN for an LF that did not vote (Snorkel: 0, as if it had always been wrong).
    """
    right, wrong = correct(counted), incorrect(counted)
    return _divided(right, right + wrong)


def empirical_probs(counted: Ints) -> Floats:
    """Return P(LF i says s | class k), float64 [m, K + 1, K], laid out as ``LabelModel.emission``.

    Symbol K is an abstain, which Snorkel's ``lf_empirical_probs`` has in row 0. NaN for a class
    without records.
    """
    cast = counted[:, :-1]
    return _divided(cast, np.broadcast_to(cast.sum(axis=1, keepdims=True), cast.shape))


def _divided(counts: Ints, of: Ints) -> Floats:
    out = np.full(counts.shape, np.nan)
    return np.asarray(np.divide(counts, of, out=out, where=of > 0))


def label_buckets(*labels: Sequence[int] | Ints) -> dict[tuple[int, ...], Ints]:
    """Return which records have each combination of labels: Snorkel's ``get_label_buckets``.

    >>> buckets = label_buckets([1, 1, 0], [1, -1, -1])  # gold, predicted
    >>> buckets[(1, -1)].tolist()  # spam that nobody voted on
    [1]
    """
    columns = [np.asarray(each) for each in labels]
    if not columns or any(c.ndim != 1 or len(c) != len(columns[0]) for c in columns):
        msg = "label buckets need one or more lists of labels, all of the same length"
        raise CountsError(msg)
    together = np.stack(columns, axis=1)
    found, which = np.unique(together, axis=0, return_inverse=True)
    return {
        tuple(map(int, combination)): np.flatnonzero(which.ravel() == group)
        for group, combination in enumerate(found)
    }
