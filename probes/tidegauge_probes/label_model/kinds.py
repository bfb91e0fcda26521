"""Fit a label model: decide which kind the votes allow, and compute its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import counts_pairs
from tidegauge_probes.label_model import dawid_skene, silence, vote_model
from tidegauge_probes.label_model.company import precision_sd, share_sd, spreads
from tidegauge_probes.label_model.dawid_skene import DawidSkene, checked_balance
from tidegauge_probes.label_model.labels import Labelled, with_labels
from tidegauge_probes.label_model.limits import MIN_LFS, MIN_VOTES
from tidegauge_probes.label_model.model import LabelModel, LabelModelKind
from tidegauge_probes.label_model.rows import DistinctRows
from tidegauge_probes.label_model.vote_model import VoteFit, anchored
from tidegauge_probes.lazy import LazyModule
from tidegauge_probes.model import Outcomes

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = LazyModule("scipy.sparse", extra="statistics")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def fit(
    outcomes: Outcomes,
    classes: int,
    *,
    balance: Floats | None = None,
    weights: Floats | None = None,
    aside: Sequence[int] = (),
    gold: npt.ArrayLike | None = None,
) -> LabelModel:
    """Fit a label model from int8 [n, m] outcomes, of the kind that they allow.

    *balance*: float64 [K], class shares of all records, if they are known. *weights*: positive
    float64 [n], how many records each row stands for. *aside*: columns that are evaluated but
    evaluate no others: the deployed model, and anything else without an opinion of its own.
    *gold*: integers [n], the true class or −1; the labelled records must be drawn uniformly.

    BaselineError if *balance* does not hold class shares, or the gold labels name only one class.
    """
    given = None if balance is None else checked_balance(balance, classes)
    labelled = None if gold is None else Labelled.of(outcomes, gold, classes)
    rows = DistinctRows.of(outcomes, classes, weights)
    judges = np.ones(outcomes.shape[1], dtype=np.bool_)
    judges[list(aside)] = False
    if labelled is None:
        found = _without_labels(rows, judges, aside, given)
    else:
        gold_votes = labelled.by_vote(classes)
        fitted = vote_model.fit(rows, judges, gold_votes)
        found = _with_doubt(_of_votes(rows, judges, fitted, gold_votes), rows, fitted)
        found = with_labels(found, rows, labelled)
    return found if given is None else found.with_shares(given)


def _without_labels(
    rows: DistinctRows, judges: Mask, aside: Sequence[int], balance: Floats | None
) -> LabelModel:
    counted = None
    if (_votes(rows)[judges].sum(axis=1) >= MIN_VOTES).sum() >= MIN_LFS:
        counted = silence.counted(rows, aside, balance)
    if counted is not None and not counted.predicts.doubtful:
        return full(rows, counted.tables)
    fitted = vote_model.fit(rows, judges)
    found = _of_votes(rows, judges, fitted, None)
    if found.kind is LabelModelKind.MAJORITY:
        return found if counted is None else full(rows, counted.tables)
    if counted and silence.agrees(counted.tables, rows, found.of_one_hot(rows.psi)):
        return full(rows, counted.tables)
    return _with_doubt(found, rows, fitted)


def fit_if_identified(
    outcomes: Outcomes,
    classes: int,
    weights: Floats | None = None,
    aside: Sequence[int] = (),
    *,
    balance: Floats | None = None,
    gold: npt.ArrayLike | None = None,
) -> LabelModel | None:
    """Return ``fit``'s model, or None if the LFs are too few, or too many to count in pairs."""
    if not counts_pairs(outcomes.shape[1], classes):
        return None
    if not dawid_skene.identified(np.delete(outcomes, list(aside), axis=1)):
        return None
    return fit(outcomes, classes, balance=balance, weights=weights, aside=aside, gold=gold)


def _of_votes(rows: DistinctRows, judges: Mask, fitted: VoteFit, gold: Floats | None) -> LabelModel:
    """Return the model of kind ``votes``, or ``majority`` if its classes explain too little."""
    kind = LabelModelKind.VOTES
    if fitted.gain < silence.IDENTIFIED_Z * fitted.gain_error:
        kind, fitted = LabelModelKind.MAJORITY, _majority(rows, judges, fitted, gold)
    k, every = rows.classes, len(fitted.pi)
    dependent = np.eye(len(judges), dtype=np.bool_)
    i, j = fitted.similar.nonzero()
    dependent[i // k, j // k] = True
    dependent[:, ~judges] = True
    found = LabelModel(
        kind=kind,
        prior=fitted.mix,
        prior_sd=np.full(k, np.nan),
        pi=fitted.pi,
        mix=fitted.mix,
        gram=rows.together,
        records=rows.records,
        votes=_votes(rows),
        dependent=dependent,
        similar=fitted.similar,
        spread=np.ones(every),
        sd=np.full(every, np.nan),
    )
    return replace(found, prior=_shares(found, rows))


def _with_doubt(model: LabelModel, rows: DistinctRows, fitted: VoteFit) -> LabelModel:
    """Return the same model with the standard deviations of its figures."""
    model = replace(model, spread=spreads(model, rows))
    model = replace(model, sd=precision_sd(model, fitted.misfit))
    return replace(model, prior_sd=share_sd(model))


def _majority(rows: DistinctRows, judges: Mask, fitted: VoteFit, gold: Floats | None) -> VoteFit:
    """Return votes of equal worth, so that the majority decides and a tie stays a tie.

    With gold labels, each vote is worth what they show.
    """
    k = rows.classes
    own = np.tile(np.arange(k), len(judges))
    pi = anchored(own, vote_model.START, k)
    if gold is None:
        alone = sparse.csr_array((len(own), len(own)))
        return replace(fitted, pi=pi, mix=np.full(k, 1 / k), similar=alone)
    pi = vote_model.with_gold(pi, gold)
    mix = (_votes(rows).ravel() * np.repeat(judges, k)) @ pi
    return replace(fitted, pi=pi, mix=mix / mix.sum() if mix.sum() else fitted.mix)


def _votes(rows: DistinctRows) -> Ints:
    counted = np.asarray(rows.psi.T @ rows.times)
    return np.asarray(np.rint(counted), dtype=np.int64).reshape(-1, rows.classes)


def _shares(model: LabelModel, rows: DistinctRows) -> Floats:
    """Return the class shares of the covered records, float64 [K]."""
    judges = np.repeat(model.witnesses, model.classes).astype(np.float64)
    covered = rows.weight * (rows.psi @ judges > 0)
    if not covered.any():
        return model.mix
    found = covered @ model.of_one_hot(rows.psi)
    return np.asarray(found / found.sum())


def full(rows: DistinctRows, tables: DawidSkene) -> LabelModel:
    """Return the model of kind ``full`` for tables that hold on the *rows*."""
    every = len(tables.votes) * tables.classes
    pi, mix = _given_votes(tables, np.diag(rows.together), vote_model.PRIOR_VOTES)
    found = LabelModel(
        kind=LabelModelKind.FULL,
        prior=tables.prior,
        prior_sd=np.full(tables.classes, np.nan),
        pi=pi,
        mix=mix,
        gram=rows.together,
        records=rows.records,
        votes=tables.votes,
        dependent=tables.dependent,
        similar=sparse.csr_array((every, every)),
        spread=np.ones(every),
        sd=np.full(every, np.nan),
        tables=tables,
    )
    found = replace(found, spread=spreads(found, rows))
    return replace(found, sd=precision_sd(found, np.ones(every), shared=0.0))


def _given_votes(tables: DawidSkene, cast: Floats, pseudo: float = 0.0) -> tuple[Floats, Floats]:
    """Return π and T for tables of P(vote | class).

    *pseudo*: votes of no particular precision to add to each: a vote that was cast a hundred times
    and was never wrong may still be wrong one day.
    """
    k = tables.classes
    joint = tables.vote_emission * tables.prior
    pi = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-12)
    any_vote = anchored(np.tile(np.arange(k), len(tables.votes)), vote_model.START, k)
    seen = np.maximum(cast, 1.0)[:, None]
    pi = np.maximum((pi * seen + pseudo * any_vote) / (seen + pseudo), 1e-6)
    mix = (cast * np.repeat(tables.witnesses, k)) @ pi
    return pi, mix / mix.sum() if mix.sum() else np.full(k, 1 / k)


def imported(tables: DawidSkene, together: Floats) -> LabelModel:
    """Return the label model of tables fitted elsewhere, which no rows are available to check.

    *together*: float64 [mK, mK], shares of the records on which both votes were cast. It is treated
    as kind ``votes``, with precisions as uncertain as they can be.
    """
    gram = together * tables.records
    pi, mix = _given_votes(tables, np.diag(gram))
    every = len(gram)
    model = LabelModel(
        kind=LabelModelKind.VOTES,
        prior=tables.prior,
        prior_sd=np.full(tables.classes, np.nan),
        gram=gram,
        records=tables.records,
        votes=tables.votes,
        dependent=tables.dependent,
        similar=sparse.csr_array((every, every)),
        spread=np.ones(every),
        sd=np.full(every, np.nan),
        tables=tables,
        pi=pi,
        mix=mix,
    )
    return replace(model, sd=precision_sd(model, np.full(every, np.inf)))
