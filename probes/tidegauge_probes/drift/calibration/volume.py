"""The windows of the volume, whose calibration is joined to that of the other series (``fit``).

Volumes vary more, for longer, and by other cycles than shares do. In a pool of shares a volume
would be drawn towards their calm, and lend them its unrest. It also has windows that nothing else
has: those without records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.tails import TailMaps
from tidegauge_probes.drift.calibration.variance_time import VarianceTime
from tidegauge_probes.drift.calibration.windows import CalibrationWindows
from tidegauge_probes.drift.season import WEEK_MS, Season

Floats = npt.NDArray[np.float64]

UNKNOWN_WEEK: Final = 0.35
"""By how much days of the week are taken to differ in volume, as a standard deviation of its
logarithm, until two weeks have shown it. Half as much on a Sunday is then no news; nothing is."""


@dataclass(frozen=True, eq=False)
class VolumeWindows:
    """The windows of the volume, one series, and its place among all series.

    They begin and end with those of the other series, so that both have the same cycles.
    """

    windows: CalibrationWindows
    place: int

    def joined(self, others: Calibration, own: Calibration) -> Calibration:
        """Return the calibration of all series, the volume's *own* among them."""

        def put(theirs: Floats, mine: Floats) -> Floats:
            return np.insert(theirs, self.place, mine[..., 0], axis=-1)

        series = len(others.p) + 1
        unknown = with_own(0.0, self._unknown_week(own.season) ** 2, self.place, series)
        cycles = tuple(
            replace(
                theirs,
                shift=put(theirs.shift, mine.shift),
                variance=put(theirs.variance, mine.variance),
                pull=put(theirs.pull, mine.pull),
            )
            for theirs, mine in zip(others.season.cycles, own.season.cycles, strict=True)
        )
        return Calibration(
            p=put(others.p, own.p),
            tau2=put(others.tau2, own.tau2),
            error=put(others.error, own.error) + unknown,
            n=put(others.n, own.n),
            learning=False,
            curve=VarianceTime(put(others.curve.weights, own.curve.weights)),
            wanders=np.insert(others.wanders, self.place, own.wanders[0]),
            season=replace(others.season, cycles=cycles),
            freedom=with_own(others.freedom, own.freedom, self.place, series),
            tails=self._tails(others.tails, own.tails),
            left_out=tuple(sorted({*others.left_out, *own.left_out})),
            unknown=unknown,
        )

    def _unknown_week(self, season: Season) -> float:
        known = any(cycle.period_ms == WEEK_MS for cycle in season.cycles)
        return 0.0 if known or self.windows.window_ms >= WEEK_MS else UNKNOWN_WEEK

    def _tails(self, others: TailMaps | None, own: TailMaps | None) -> TailMaps | None:
        if others is None or own is None:
            return others
        is_rare = bool(own.rare[0])
        maps = tuple(pair[is_rare] or pair[not is_rare] for pair in own.maps)
        rare = np.insert(others.rare, self.place, is_rare)
        return TailMaps(others.maps, rare, maps, np.arange(len(rare)) == self.place)


def with_own(others: Floats | float, own: Floats | float, place: int, series: int) -> Floats:
    """Return *others* for all series but the volume, which has its *own*, [S]."""
    found = np.full(series, others)
    found[place] = own
    return found
