"""Put the alerts of a window into incidents, by what the records say of their series. Pure."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np

from tidegauge_alerts.incidents.membership import grouped
from tidegauge_alerts.incidents.news import announced
from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.model import Alert, Context
from tidegauge_probes.drift.kinship import Moves
from tidegauge_probes.findings import Kinship, SeriesKey
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_service.jobs.evaluation.window_history import ComparedWindow


def incidents(
    after: Advance, before: Sequence[Alert], compared: ComparedWindow, context: Context
) -> Advance:
    """Group the alerts of a window, and say which of their transitions receivers hear of."""
    by_scale = functools.cache(functools.partial(_moves, compared))

    def kin(one: SeriesKey, other: SeriesKey) -> Kinship:
        found = compared.findings.get(one)
        return by_scale(1 if found is None else found.scale).kinship(one, other)

    return announced(grouped(after, before, kin, context), before)


def _moves(compared: ComparedWindow, last: int) -> Moves:
    """Sum the last windows. Co-votes are of as many of them as are kept."""
    history = compared.history
    sums = np.stack(history.past.total(compared.x, compared.n, last), axis=1).tolist()
    findings = compared.findings.values()
    recent = history.recent[:last] or (PairCounts.of(compared.window.counts),)
    return Moves(
        history.baseline.plan.layout,
        dict(zip(history.baseline.keys, map(tuple, sums), strict=True)),
        {f.key: f.tested.expected for f in findings if f.tested.expected is not None},
        functools.reduce(operator.add, recent),
        PairCounts.of(history.baseline.total),
    )
