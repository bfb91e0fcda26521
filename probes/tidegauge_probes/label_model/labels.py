"""Class shares and precision counted from gold labels, and refined by the votes.

Class shares are the mean of the model's predictions plus its mean error on the labelled records
(prediction-powered inference, Angelopoulos et al. 2023). The labelled records must be drawn
uniformly: labels given only to records that looked odd say nothing about the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model.limits import SD_ALONE, SD_SHARED
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.rows import DistinctRows, one_hot
from tidegauge_probes.label_model.vote_model import GOLD_AGAINST
from tidegauge_probes.model import Outcomes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_VARIANCE: Final = 0.02
"""Prior weight of one labelled vote: ten correct out of ten are not certainty."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled records: ``outcomes``: int8 [g, m]; ``classes``: int64 [g]."""

    outcomes: Outcomes
    classes: Ints

    @classmethod
    def of(cls, outcomes: Outcomes, gold: npt.ArrayLike, classes: int) -> Labelled:
        """Keep the records whose label is known; BaselineError if they cannot be used.

        *gold*: integers [n], a class, or −1 where the label is unknown.
        """
        truth = np.asarray(gold)
        if truth.shape != (len(outcomes),) or truth.dtype.kind not in "iu":
            msg = f"gold labels must be {len(outcomes)} integers, one per record"
            raise BaselineError(msg)
        if truth.size and not -1 <= truth.min() <= truth.max() < classes:
            msg = f"gold labels must be in -1…{classes - 1}, not {truth.min()} to {truth.max()}"
            raise BaselineError(msg)
        known = truth >= 0
        found = cls(outcomes[known], truth[known].astype(np.int64))
        if len(np.unique(found.classes)) < min(2, classes):
            msg = (
                f"the {known.sum()} gold labels cover only "
                f"{len(np.unique(found.classes))} of {classes} classes: label records "
                "drawn from all traffic"
            )
            raise BaselineError(msg)
        return found

    def by_vote(self, classes: int) -> Floats:
        """Return how often each vote was cast on each true class, float64 [mK, K]."""
        return np.asarray(one_hot(self.outcomes, classes).T @ self.one_hot(classes))

    def one_hot(self, classes: int) -> Floats:
        """Return the labels as ones, float64 [g, K]."""
        return np.asarray(np.eye(classes)[self.classes])


def with_labels(model: LabelModel, rows: DistinctRows, labelled: Labelled) -> LabelModel:
    """Return the model with counted class shares of all records, and counted precisions."""
    k = model.classes
    truth, silent = labelled.one_hot(k), np.asarray((labelled.outcomes < 0).all(axis=1))
    # Records that no LF votes on are assumed to have the classes of the labelled ones like them.
    blind = truth[silent].mean(axis=0) if silent.any() else model.mix
    predicted = np.where(rows.covered[:, None], model.posterior(rows.outcomes), blind)
    off = truth - np.where(silent[:, None], blind, model.posterior(labelled.outcomes))
    n = len(truth)
    shares = np.average(predicted, axis=0, weights=rows.weight) + off.mean(axis=0)
    shares = np.maximum(shares, 1 / (2 * n))  # a class that was not seen may still exist
    return replace(
        model,
        prior=shares / shares.sum(),
        prior_sd=off.std(axis=0) / np.sqrt(n) + 1 / n,
        sd=_sd(model, labelled.by_vote(k).sum(axis=1)),
        labels=n,
    )


def _sd(model: LabelModel, labelled: Floats) -> Floats:
    """Return the standard deviation of P(the vote is right), float64 [mK].

    *labelled*: labelled votes, [mK]; the unlabelled votes are worth GOLD_AGAINST more of them.
    """
    of = labelled + GOLD_AGAINST
    variance = np.maximum(model.right * (1 - model.right), LEAST_VARIANCE) / of
    votes = np.nan_to_num(model.sd, nan=SD_ALONE) ** 2 + SD_SHARED**2
    counted = np.sqrt(variance + votes * (GOLD_AGAINST / of) ** 2)
    return np.where(labelled > 0, counted, model.sd)
