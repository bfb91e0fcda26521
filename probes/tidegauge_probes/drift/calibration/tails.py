"""How much evidence counts, given how far quiet windows get in the calibration (``tail_map``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.generalised_pareto import Exceedance
from tidegauge_probes.drift.scales import LONGEST

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GROUPS: Final = ((1, 1), (2, 5), (6, 16), (17, LONGEST))
"""Groups of scales that share a map."""

SLACK: Final = float(np.log(2.0))
"""Nats: either side of a series, and two of the overlapping groups, may give a false alarm."""


@dataclass(frozen=True, eq=False)
class TailMaps:
    """``maps``: for each group of scales, the map of frequent series and that of rare ones.

    ``rare``: bool [S]. ``own``: for each group that of the series marked ``alone``, bool [S]: the
    volume, which is unlike all others; where it has none it has theirs. Empty without a volume.
    """

    maps: tuple[tuple[Exceedance | None, Exceedance | None], ...]
    rare: Mask
    own: tuple[Exceedance | None, ...] = ()
    alone: Mask | None = None

    def select(self, series: Ints) -> TailMaps:
        """Return the maps of some series, in this order."""
        alone = None if self.alone is None else self.alone[series]
        return replace(self, rare=self.rare[series], alone=alone)

    def through(self, evidence: Floats, scale: Ints) -> Floats:
        """Return what *evidence* from sums of *scale* windows counts as, in nats, [J, S] each."""
        found = evidence.copy()
        alone = np.zeros(len(self.rare), dtype=np.bool_) if self.alone is None else self.alone
        for group, ((low, high), pair) in enumerate(zip(GROUPS, self.maps, strict=True)):
            here = (scale >= low) & (scale <= high) & (evidence > 0)
            kinds = [(pair[r] or pair[not r], ~alone & (self.rare == r)) for r in (False, True)]
            if self.own:
                kinds.append((self.own[group] or pair[0] or pair[1], alone))
            for law, of in kinds:
                chosen = here & of
                if law is not None and chosen.any():
                    found[chosen] = _allowed(law, evidence[chosen])
        return found


def _allowed(own: Exceedance, evidence: Floats) -> Floats:
    beyond = -own.log_rate(evidence) - SLACK
    below = -float(np.log(own.rate))
    return np.minimum(evidence, np.where(evidence > own.level, beyond, below))
