"""Which pairs of LFs are worth following: those that say something their coverages do not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift.scales import LONGEST, MIN_VOTES
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Layout

special = LazyModule("scipy.special", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pairs = tuple[tuple[int, int], ...]

PAIRS_OF_LF: Final = 3
"""Maximum number of pairs that one LF is part of."""

MAX_PAIRS: Final = 200
"""Maximum number of pairs to follow, the most informative ones."""


def pair_counts(counts: PaneCounts) -> tuple[Ints, Ints]:
    """Return how often LFs i and j both vote, and vote the same: int64 [m, m] each.

    Not to be asked of counts without a Gram matrix (``counts.MAX_PAIRED``).
    """
    m, k = counts.lfs, counts.classes
    blocks = counts.gram.reshape(m, k, m, k)
    together = blocks.sum(axis=(1, 3))
    agreeing = np.einsum("ikjk->ij", blocks)
    return together, agreeing


def informative(counts: PaneCounts, windows: int) -> Pairs:
    """Return the pairs to follow, the rarer LF first, in the order of the LFs.

    Only pairs that vote together often enough to tell, and of those the ones whose votes have the
    most mutual information: what both together say beyond either coverage. Two LFs that meet by
    chance have none.

    *windows*: those with records that were counted; 0 if that is not known.
    """
    if not counts.gram.size:
        return ()
    together, _ = pair_counts(counts)
    told = mutual_information(together, counts.records)
    every = combinations(range(counts.lfs), 2)
    usable = [(i, j) for i, j in every if _enough(int(together[i, j]), windows, MIN_VOTES)]
    usable.sort(key=lambda pair: (-told[pair], pair))
    votes = together.diagonal()
    return tuple((i, j) if votes[i] <= votes[j] else (j, i) for i, j in sorted(_capped(usable)))


def contestable(pairs: Pairs, counts: PaneCounts, layout: Layout, windows: int) -> Pairs:
    """Return the pairs whose agreement can be told: either outcome is possible, and often enough.

    Where both are as likely, each comes in half of the common votes, so twice as many are needed.
    """
    if not pairs:
        return ()
    together, _ = pair_counts(counts)
    return tuple(
        (i, j)
        for i, j in pairs
        if _may_differ(layout.labels[i], layout.labels[j])
        and _enough(int(together[i, j]), windows, 2 * MIN_VOTES)
    )


def mutual_information(together: Ints, records: int) -> Floats:
    """Return the mutual information of any two LFs' votes, in nats of all records, [m, m].

    >>> apart = mutual_information(np.array([[50, 25], [25, 50]]), 100)
    >>> alike = mutual_information(np.array([[50, 50], [50, 50]]), 100)
    >>> apart[0, 1].round(2), alike[0, 1].round(1)  # 100 ln 2
    (np.float64(0.0), np.float64(69.3))
    """
    votes = together.diagonal().astype(np.float64)
    one, other = votes[:, None], votes[None, :]
    both = together.astype(np.float64)
    cells = (
        (both, one, other),
        (one - both, one, records - other),
        (other - both, records - one, other),
        (records - one - other + both, records - one, records - other),
    )
    parts = [
        special.xlogy(seen, seen * records / np.maximum(row * column, 1e-300))
        for seen, row, column in cells
    ]
    return np.asarray(sum(parts))


def _enough(votes: int, windows: int, least: int) -> bool:
    """Tell whether so many common votes have come, and are expected in the longest sum."""
    return votes >= least and votes * LONGEST >= least * windows


def _capped(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return pairs in their order, none of an LF that has enough of them."""
    taken: dict[int, int] = {}
    kept: list[tuple[int, int]] = []
    for pair in pairs:
        if all(taken.get(lf, 0) < PAIRS_OF_LF for lf in pair) and len(kept) < MAX_PAIRS:
            kept.append(pair)
            taken |= {lf: taken.get(lf, 0) + 1 for lf in pair}
    return kept


def _may_differ(one: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether two LFs can cast the same vote and different ones."""
    return bool(set(one) & set(other)) and len({*one, *other}) > 1
