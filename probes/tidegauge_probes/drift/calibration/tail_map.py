"""The calibration's own false-alarm rate: how often sums of quiet windows get that far out.

No law is trusted in the far tail. The calibration windows are scanned the way live ones are, and
the rate λ(E) at which a series' evidence exceeds E is fitted (``generalised_pareto``), for four
groups of scales, and for rare and frequent series separately: single windows make one big jump,
sums have many bounded terms (Embrechts, Klüppelberg & Mikosch 1997). Live evidence E then counts as

    E' = min(E, −ln λ(E) − ln 2)

nats: never more than the law says, and no more than the stream's own past allows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration import generalised_pareto
from tidegauge_probes.drift.calibration.generalised_pareto import Exceedance
from tidegauge_probes.drift.calibration.sums import Sums
from tidegauge_probes.drift.calibration.tails import GROUPS, TailMaps

Floats = npt.NDArray[np.float64]

SCANNED: Final = (1, 2, 3, 5, 6, 8, 11, 16, 20, 32, 48)
"""Scales that are scanned, up to a quarter of the calibration."""

HEAVY, LIGHT = 0.15, 0.03
"""Prior mean of ξ, for single windows and for sums."""

RARE: Final = 1.0
"""Expected events per window below which a series is rare."""


def fit(sums: Sums) -> TailMaps:
    """Scan the calibration and fit the maps."""
    windows, series = sums.shape
    rare = sums.events < np.maximum(sums.windows, 1) * RARE
    maps = []
    for low, high in GROUPS:
        scales = [j for j in SCANNED if low <= j <= high and j <= windows / 4]
        evidence = np.full((windows, series), -np.inf)
        for j in scales:
            evidence[j - 1 :] = np.maximum(evidence[j - 1 :], sums.evidence(j))
        block = min(high, max(windows // 4, 1))
        heaviness = HEAVY if high == 1 else LIGHT
        of_both = [_fit_one(evidence[:, rare == r], block, heaviness) for r in (False, True)]
        maps.append((of_both[0], of_both[1]))
    return TailMaps(tuple(maps), rare)


def _fit_one(evidence: Floats, block: int, heaviness: float) -> Exceedance | None:
    """Fit the map of some series to one peak per block of windows, the size of one episode."""
    windows, series = evidence.shape
    blocks = windows // block
    kept = evidence[windows - blocks * block :].reshape(blocks, block, series)
    peaks = kept.max(axis=1).ravel()
    told = np.isfinite(evidence).any(axis=0).sum()
    return generalised_pareto.fit(
        peaks[np.isfinite(peaks)], float(windows * max(told, 1)), heaviness
    )
