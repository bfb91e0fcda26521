"""What is counted of alarms: false onsets, delays, opens and closes. Pure.

Alarms are bool [W, S]: is series s in alarm in window w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import special

Mask = npt.NDArray[np.bool_]

QUIET: Final = 3
"""Windows without alarm after which the next one of a series is an onset again."""

FOUND_WITHIN: Final = 24
HORIZON: Final = 96
"""Windows after the shift that are looked at; what is not found then counts as this much."""


def onsets(alarms: Mask, quiet: int = QUIET) -> Mask:
    """Return where series go into alarm after *quiet* windows without, bool [W, S].

    >>> onsets(np.array([[1, 0, 1, 0, 0, 0, 1]], dtype=bool).T, 3).T.astype(int).tolist()
    [[1, 0, 0, 0, 0, 0, 1]]
    """
    found = alarms.copy()
    for lag in range(1, quiet + 1):
        found[lag:] &= ~alarms[:-lag]
    return found


def episodes(alarms: Mask, quiet: int = QUIET) -> int:
    """Return in how many windows something began: series that open together are one episode."""
    return int(onsets(alarms, quiet).any(axis=1).sum())


@dataclass(frozen=True)
class PerThousand:
    """Events in 1,000 windows, with the 95 % interval of a Poisson count (Garwood 1936)."""

    events: int
    windows: int

    @property
    def rate(self) -> float:
        """Events per 1,000 windows."""
        return 1000 * self.events / max(self.windows, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the exact interval, per 1,000 windows."""
        low = special.gammaincinv(self.events, 0.025) if self.events else 0.0
        high = special.gammaincinv(self.events + 1, 0.975)
        windows = max(self.windows, 1)
        return float(1000 * low / windows), float(1000 * high / windows)

    def __add__(self, other: PerThousand) -> PerThousand:
        """Return both together."""
        return PerThousand(self.events + other.events, self.windows + other.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the figures for the last line."""
        low, high = self.interval
        return {
            "per_1000": round(self.rate, 2),
            "interval": [round(low, 2), round(high, 2)],
            "windows": self.windows,
        }


NONE_YET: Final = PerThousand(0, 0)


def delay(alarms: Mask, series: int) -> int | None:
    """Return windows until a series' first alarm, 1 for the first window; None if never."""
    where = np.flatnonzero(alarms[:HORIZON, series])
    return int(where[0]) + 1 if len(where) else None


@dataclass(frozen=True)
class Delays:
    """Delays of many runs of one shift."""

    windows: tuple[int | None, ...]

    @property
    def found(self) -> float:
        """Share found within 24 windows."""
        return sum(w is not None and w <= FOUND_WITHIN for w in self.windows) / len(self.windows)

    @property
    def mean(self) -> float:
        """Mean delay; what was never found counts as the horizon (a restricted mean)."""
        return sum(HORIZON if w is None else w for w in self.windows) / len(self.windows)

    @property
    def mean_of_24(self) -> float:
        """Mean delay where only 24 windows were looked at."""
        return sum(min(w or FOUND_WITHIN, FOUND_WITHIN) for w in self.windows) / len(self.windows)

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        values = np.array([HORIZON if w is None else w for w in self.windows], dtype=np.float64)
        return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the figures for the last line."""
        return {
            "found": round(self.found, 3),
            "mean_delay": round(self.mean, 1),
            "mean_of_24": round(self.mean_of_24, 1),
            "se": round(self.standard_error, 2),
            "runs": len(self.windows),
        }


def threshold_for(scores: npt.NDArray[np.float64], allowed: float) -> float:
    """Return the lowest threshold at which quiet *scores* [W, S] give few enough episodes.

    *allowed*: episodes per 1,000 windows. Alarms are scores *above* the threshold. Bisection:
    a higher threshold gives fewer alarms, and where it splits an episode, the next step mends it.
    """
    values = np.unique(scores[np.isfinite(scores)])
    most = allowed * len(scores) / 1000
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if episodes(scores > values[middle]) <= most:
            high = middle
        else:
            low = middle + 1
    return float(values[high])


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return float(np.median(values)) if len(values) else None
