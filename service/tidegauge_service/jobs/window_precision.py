"""What the label model says of a window's LFs, as it is stored. Pure."""

from __future__ import annotations

import math

import numpy as np

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.label_model import precision
from tidegauge_probes.label_model.accuracy import Accuracy, Gold, estimate
from tidegauge_probes.label_model.model import LabelModel
from tidegauge_probes.label_model.precision import PairCounts, Precision
from tidegauge_service.store.windows.precision import ClassShare, LfPrecision, WindowPrecision


def judge(
    start: int, baseline: Baseline, model: LabelModel, pooled: PairCounts | None
) -> WindowPrecision:
    """Return class shares, and the precision of every vote that the baseline knows.

    *pooled*: the window and those before it; None if all of them together are too few.
    """
    found = None if pooled is None else precision.of_window(model, pooled)
    layout = baseline.plan.layout
    shares = tuple(
        ClassShare(label, float(model.prior[k]), None if found is None else float(found.prior[k]))
        for k, label in enumerate(layout.classes)
    )
    before = model.precision()
    lfs = tuple(
        _lf(layout.probes[i], layout.classes[k], float(before[i, k]), found, (i, k))
        for i, labels in enumerate(layout.labels)
        for k in labels
        if baseline.total.all.outcomes[i, k]
    )
    records, windows = (pooled.records, pooled.windows) if pooled else (0, 0)
    return WindowPrecision(
        start, baseline.id, windows, records, shares, lfs, _accuracy(baseline.gold, found, pooled)
    )


def _accuracy(
    gold: Gold | None, found: Precision | None, pooled: PairCounts | None
) -> Accuracy | None:
    if gold is None or found is None or pooled is None:
        return None
    shares = np.diag(pooled.gram) / pooled.records
    return estimate(gold, shares, found.prior, pooled.working)


def _lf(
    probe: str, label: str, before: float, found: Precision | None, at: tuple[int, int]
) -> LfPrecision:
    if found is None:
        return LfPrecision(probe, label, _known(before), None, None, None, None, changed=False)
    expected, value, low, high = (
        _known(float(figures[at]))
        for figures in (found.expected, found.value, found.low, found.high)
    )
    changed = bool(found.changed[at])
    return LfPrecision(probe, label, _known(before), expected, value, low, high, changed)


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else figure
