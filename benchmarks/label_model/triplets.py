"""FlyingSquid's closed form, written out: accuracies from the moments of three LFs at a time.

D. Fu, M. Chen, F. Sala, S. Hooper, K. Fatahalian, C. Ré: "Fast and Three-rious: Speeding Up Weak
Supervision with Triplet Methods", ICML 2020, algorithm 1. Several classes: one against the rest.
Classes are taken to be equally frequent, as its package does when no balance is given.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.label_model.votes import ABSTAIN, Floats, Sample, Votes

BOUNDS: Final = (0.01, 0.99)
"""Accuracies as correlations with the class; none is certain, and none worse than chance."""


def scores(sample: Sample) -> Floats:
    """Return the log odds of each class against the rest, float64 [n, K]."""
    train = sample.votes[sample.train]
    ranks = [_of_class(train, sample.votes, k) for k in range(sample.classes)]
    return np.stack(ranks, axis=1)


def accuracies(signs: Floats) -> Floats:
    """Return E[λ Y | λ ≠ 0] of each LF, float64 [m]. *signs*: −1, 0 (abstains) or 1, [n, m].

    E[λ Y] of all records, the median over all pairs of other LFs, divided by the LF's coverage.
    """
    n = len(signs)
    with np.errstate(divide="ignore", invalid="ignore"):
        moments = signs.T @ signs / n
        np.fill_diagonal(moments, np.nan)
        found = np.array([_median(moments, i) for i in range(len(moments))])
        coverage = np.abs(signs).sum(axis=0) / n
        return np.asarray(np.clip(np.nan_to_num(found / coverage), *BOUNDS))


def _median(moments: Floats, i: int) -> float:
    row = moments[i]
    triplets = np.sqrt(np.abs(row[:, None] * row[None, :] / moments))
    known = triplets[np.isfinite(triplets)]
    return float(np.median(known)) if known.size else BOUNDS[0]


def _of_class(train: Votes, votes: Votes, k: int) -> Floats:
    a = accuracies(_signs(train, k))
    return _signs(votes, k) @ np.log((1 + a) / (1 - a))


def _signs(votes: Votes, k: int) -> Floats:
    return np.where(votes == ABSTAIN, 0.0, np.where(votes == k, 1.0, -1.0))
