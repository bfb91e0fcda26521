"""Whether a daily cycle that is read in UTC follows a clock that was changed.

People who get up an hour earlier by UTC after 29 March shift every bin of the day. Single days show
it: before the change, each day is nearer to the usual day than to one shifted by an hour; after it,
the other way round. Both are sign tests over whole days, so hours that vary together do no harm,
and a cycle that is steady in UTC fails the second test whatever its shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.civil_time import ClockChange, offset_ms
from tidegauge_probes.drift.season import DAY_MS, HOUR_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ZONES: Final = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Asia/Jerusalem",
    "Africa/Cairo",
)
"""One zone from each group that changes its clocks on the same day."""

MOST_DAYS: Final = 28
"""Days examined on either side; over this few, the sun moves a cycle very little."""

SURE: Final = 1e-3
"""Probability that days agree this well by chance; ten of ten days pass."""

HOURS: Final = 24


def find(starts: Ints, x: Ints, n: Ints, window_ms: int) -> ClockChange | None:
    """Return the clock change that the daily cycle of windows read in UTC follows.

    *starts*: int64 [W]; *x*, *n*: int64 [W, S]. None where nothing can be told: windows longer than
    an hour, fewer than ten days on either side, no cycle that differs from hour to hour.
    """
    if HOUR_MS % window_ms or len(starts) < HOURS:
        return None
    found = [
        (days, change)
        for change in changes(int(starts[0]), int(starts[-1]))
        if (days := _days_that_agree(starts, x, n, change)) is not None
    ]
    # Jerusalem changes its clocks two days before Berlin: more days agree with the true change.
    return max(found, key=lambda pair: pair[0], default=(0, None))[1]


def changes(since_ms: int, until_ms: int) -> list[ClockChange]:
    """Return the clock changes of the known zones between two times."""
    found = []
    for zone in ZONES:
        for day in range(since_ms // DAY_MS * DAY_MS, until_ms, DAY_MS):
            before, after = offset_ms(zone, day), offset_ms(zone, day + DAY_MS)
            if abs(after - before) == HOUR_MS:
                hours = range(day + HOUR_MS, day + DAY_MS + HOUR_MS, HOUR_MS)
                at = next(hour for hour in hours if offset_ms(zone, hour) == after)
                found.append(ClockChange(at, (after - before) // HOUR_MS, zone))
    return found


def _days_that_agree(starts: Ints, x: Ints, n: Ints, change: ClockChange) -> int | None:
    """Return how many days agree with the change; None if too few days can be compared."""
    days = (starts - change.at_ms) // DAY_MS
    near = (days >= -MOST_DAYS) & (days < MOST_DAYS)
    hours = (starts[near] - change.at_ms) % DAY_MS // HOUR_MS
    share, size = _by_hour(days[near] + MOST_DAYS, hours, x[near], n[near])
    before = slice(0, MOST_DAYS)
    usual = _Usual.of(share[before], size[before])
    steady = [usual.prefers(share[d], size[d], change.hours, own=True) for d in range(MOST_DAYS)]
    later = range(MOST_DAYS, 2 * MOST_DAYS)
    moved = [usual.prefers(share[d], size[d], change.hours, own=False) for d in later]
    unmoved_days, moved_days = sum(p < 0 for p in steady), sum(p > 0 for p in moved)
    sure = _sure(unmoved_days, sum(p != 0 for p in steady))
    return (
        unmoved_days + moved_days
        if sure and _sure(moved_days, sum(p != 0 for p in moved))
        else None
    )


def _by_hour(days: Ints, hours: Ints, x: Ints, n: Ints) -> tuple[Floats, Floats]:
    """Return shares and volumes, float64 [2 · MOST_DAYS, 24, S]; 0 of 0 where there is no data."""
    came = np.zeros((2 * MOST_DAYS, HOURS, x.shape[1]))
    size = np.zeros_like(came)
    np.add.at(came, (days, hours), x)
    np.add.at(size, (days, hours), n)
    return came / np.maximum(size, 1), size


@dataclass(frozen=True)
class _Usual:
    """The usual day: sums of shares times volumes, and of volumes, [24, S]; noise [S]."""

    came: Floats
    size: Floats
    noise: Floats

    @classmethod
    def of(cls, share: Floats, size: Floats) -> _Usual:
        came, total = (share * size).sum(axis=0), size.sum(axis=0)
        off = share - came / np.maximum(total, 1)
        noise = (size * off**2).sum(axis=(0, 1)) / np.maximum((size > 0).sum(axis=(0, 1)), 1)
        return cls(came, total, noise)

    def prefers(self, share: Floats, size: Floats, hours: int, *, own: bool) -> float:
        """Return how much nearer a day, [24, S], is to the usual day shifted by *hours* than to it.

        *own*: the day is part of the usual day, and is taken out of it first. The level of the day
        is not compared: a step in a series is not a change of its clock.
        """
        came, total = self.came, self.size
        if own:
            came, total = came - share * size, total - size
        usual = came / np.maximum(total, 1)
        shifted = np.roll(usual, -hours, axis=0)
        known = (total > 0) & (np.roll(total, -hours, axis=0) > 0) & (self.noise > 0)
        weight = np.where(known, size, 0.0) / np.where(self.noise > 0, self.noise, 1.0)
        return float((_distance(share - usual, weight) - _distance(share - shifted, weight)).sum())


def _distance(off: Floats, weight: Floats) -> Floats:
    """Return the weighted squares of *off*, [24, S], around their own mean, [S]."""
    total = np.maximum(weight.sum(axis=0), 1e-300)
    return np.asarray((weight * off**2).sum(axis=0) - (weight * off).sum(axis=0) ** 2 / total)


def _sure(agree: int, days: int) -> bool:
    """Tell whether this many of the days agree beyond chance."""
    at_least = sum(math.comb(days, k) for k in range(agree, days + 1))
    return bool(at_least < SURE * 2**days)
