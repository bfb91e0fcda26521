"""What the label model says of a window's LFs, as it is stored. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.label_model import precision
from tidegauge_probes.label_model.accuracy import Accuracy, Gold, estimate
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.precision import PairCounts, Precision
from tidegauge_service.baselines.identification import withheld
from tidegauge_service.store.windows.precision import ClassShare, LfPrecision, WindowPrecision


def estimate_precision(
    start: int, baseline: Baseline, model: LabelModel, pooled: PairCounts | None
) -> WindowPrecision:
    """Return what the baseline's label model may say of a window: nothing that it does not know.

    *pooled*: the window and those before it; None if all of them together are too few.
    """
    found = None if pooled is None else precision.of_window(model, pooled)
    layout = baseline.plan.layout
    before = model.shown
    lfs = tuple(
        _lf(
            (layout.probes[i], layout.classes[k]),
            float(before[i, k]),
            found,
            (i, k),
            levels=model.levels,
        )
        for i, labels in enumerate(layout.labels)
        for k in labels
        if model.compares and baseline.total.all.outcomes[i, k]
    )
    records, windows = (pooled.records, pooled.windows) if pooled else (0, 0)
    return WindowPrecision(
        start_ms=start,
        baseline=baseline.id,
        windows=windows,
        records=records,
        shares=_shares(layout.classes, model, found),
        lfs=lfs,
        accuracy=_accuracy(baseline.gold, found, pooled),
        kind=model.kind,
        labels=model.labels,
        withheld=withheld(model),
    )


def _shares(
    classes: Sequence[str], model: LabelModel, found: Precision | None
) -> tuple[ClassShare, ...]:
    """Return the class shares of all records, none where they are not known."""
    if not model.shares_known:
        return ()
    told = found if model.compares else None
    return tuple(
        ClassShare(label, float(model.prior[k]), None if told is None else float(told.prior[k]))
        for k, label in enumerate(classes)
    )


def _accuracy(
    gold: Gold | None, found: Precision | None, pooled: PairCounts | None
) -> Accuracy | None:
    if gold is None or found is None or pooled is None:
        return None
    shares = np.diag(pooled.gram) / pooled.records
    return estimate(gold, shares, found.ratios.value, pooled.working)


def _lf(
    name: tuple[str, str],
    before: float,
    found: Precision | None,
    at: tuple[int, int],
    *,
    levels: bool,
) -> LfPrecision:
    probe, label = name
    if found is None:
        return LfPrecision(probe, label, _known(before), None, None, None, None, changed=False)
    changed, judged = bool(found.changed[at]), bool(found.judged[at])
    if not (levels and found.shown[at]):
        nothing = (_known(before), None, None, None, None)
        return LfPrecision(probe, label, *nothing, changed=changed, judged=judged)
    expected, value, low, high = (
        _known(float(figures[at]))
        for figures in (found.expected, found.value, found.low, found.high)
    )
    figures = (_known(before), expected, value, low, high)
    return LfPrecision(probe, label, *figures, changed=changed, judged=judged)


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else figure
