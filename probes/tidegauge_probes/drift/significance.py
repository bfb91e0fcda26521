"""Many tests at once: which of them are more than chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.scales import GROSS_ODDS
from tidegauge_probes.drift.scan import Scanned

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def off(p_value: Floats, worth: Mask, tested: Mask, alpha: float) -> Mask:
    """Return the series that are off: worth a page, and rejected at *alpha* of those *tested*."""
    rejected = np.zeros(len(tested), dtype=np.bool_)
    rejected[tested] = benjamini_hochberg(np.where(worth, p_value, 1.0)[tested], alpha)
    return np.asarray(rejected & worth)


def benjamini_hochberg(p_values: Floats, alpha: float) -> Mask:
    """Return which hypotheses are rejected at false-discovery rate *alpha* (1995, step-up).

    >>> benjamini_hochberg(np.array([.001, .9, .012, .03]), .05).tolist()
    [True, False, True, True]
    """
    m = len(p_values)
    if not m:
        return np.zeros(0, dtype=np.bool_)
    order = np.sort(p_values)
    passing = np.flatnonzero(order <= alpha * np.arange(1, m + 1) / m)
    threshold = order[passing[-1]] if len(passing) else -1.0
    return np.asarray(p_values <= threshold)


def worth_a_page(found: Scanned, calibration: Calibration) -> Mask:
    """Mark series whose shift is large enough to be reported, however certain it is, [S]."""
    gross = np.abs(np.log(found.effect)) >= np.log(GROSS_ODDS)
    return np.asarray(found.worth & (gross | ~(calibration.wanders | calibration.learning)))
