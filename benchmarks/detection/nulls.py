"""Quiet traffic that is hard to stay quiet in: heavy tails, persistence, clumps, noisy rare LFs.

Nothing drifts in any of it. Each null draws windows of :data:`SERIES` LFs, ten each of coverage
.5, 5 and 30 %, 1,000 records an hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.detection import traffic
from benchmarks.detection.traffic import (
    DAY,
    HOUR_MS,
    MONDAY_MS,
    RATES,
    Floats,
    Generator,
    Ints,
    Traffic,
    ar1,
)
from tidegauge_probes.drift.civil_time import UTC_TIME, CivilTime

RECORDS: Final = 1_000
SD: Final = 0.10
FIRST_DAY: Final = datetime.fromtimestamp(MONDAY_MS / 1000, UTC).date()

Mask = npt.NDArray[np.bool_]

Draw = Callable[[Generator, int], Traffic]
"""From a generator and a number of windows to the counts in them."""


@dataclass(frozen=True)
class Null:
    """How its windows are drawn, how many it is calibrated on, and which clock it is told of."""

    draw: Draw
    calibrations: tuple[int, ...] = (336,)
    civil: CivilTime = UTC_TIME


def seeded(seed: int, name: str, calibration: int, run: int) -> Generator:
    """Return the generator of one run."""
    return traffic.seeded(seed, "null", name, calibration, run)


def _counted(rng: Generator, noise: Floats, sd: Floats | float = SD) -> Traffic:
    """Count records whose log odds vary by *noise*, [W, S], of variance 1, times *sd*."""
    odds = RATES / (1 - RATES) * np.exp(sd / (1 - RATES) * noise)
    n = np.full(noise.shape, RECORDS, dtype=np.int64)
    return _traffic(rng.binomial(n, odds / (1 + odds)), n)


def _traffic(x: Ints, n: Ints, start_ms: int = MONDAY_MS) -> Traffic:
    starts = start_ms + HOUR_MS * np.arange(len(x), dtype=np.int64)
    return Traffic(starts, x.astype(np.int64), n.astype(np.int64))


def _students(rng: Generator, windows: int) -> Traffic:
    freedom = 3
    noise = rng.standard_t(freedom, (windows, len(RATES))) / math.sqrt(freedom)
    return _counted(rng, noise)


def _persistent(rng: Generator, windows: int) -> Traffic:
    return _counted(rng, ar1(rng, 0.95, windows, len(RATES)))


def _long_memory(rng: Generator, windows: int) -> Traffic:
    """Sums of AR(1) of hours, days and weeks: correlations fall like a power of the lag."""
    parts = [ar1(rng, math.exp(-1 / hours), windows, len(RATES)) for hours in (2, 12, 72, 432)]
    return _counted(rng, np.sum(parts, axis=0) / math.sqrt(len(parts)))


def _wandering(rng: Generator, windows: int) -> Traffic:
    return _counted(rng, ar1(rng, 0.998, windows, len(RATES)), 0.2)


def _rare_noisier(rng: Generator, windows: int) -> Traffic:
    noise = rng.standard_normal((windows, len(RATES)))
    return _counted(rng, noise, np.where(RATES < 0.01, 0.5, SD))


def _all_or_nothing(rng: Generator, windows: int) -> Traffic:
    """Half of the LFs of 5 and 30 % read what all records of an hour share, as the weather.

    One of .5 % would fire in two hours of the calibration, or in none: nothing could be known.
    """
    quiet = _counted(rng, rng.standard_normal((windows, len(RATES))))
    fires = rng.random(quiet.x.shape) < RATES
    weather = (np.arange(len(RATES)) % 2 == 0) & (RATES > 0.01)
    return _traffic(np.where(weather, np.where(fires, RECORDS, 0), quiet.x), quiet.n)


def _copies(times: int, share: float) -> Draw:
    """One record comes *times* over, in a *share* of the windows."""

    def draw(rng: Generator, windows: int) -> Traffic:
        quiet = _counted(rng, rng.standard_normal((windows, len(RATES))))
        hit = rng.random((windows, 1)) < share
        voted = rng.random(quiet.x.shape) < RATES
        return _traffic(quiet.x + hit * voted * (times - 1), quiet.n + hit * (times - 1))

    return draw


def _template_days(rng: Generator, windows: int) -> Traffic:
    """Whole days are drawn from twenty: records of a day are alike, days are not."""
    templates = rng.standard_normal((20, DAY, len(RATES))) * 0.5
    templates += rng.standard_normal((20, 1, len(RATES)))
    days = rng.integers(0, len(templates), -(-windows // DAY))
    return _counted(rng, templates[days].reshape(-1, len(RATES))[:windows])


def _daily(hours: Ints, weekend: Mask, by: float = 0.2) -> Floats:
    """Return the cycle of each window in log odds, by its local hour and day, [W, 1]."""
    return (by * np.sin(2 * np.pi * hours / DAY) - 0.3 * weekend)[:, None]


def _holidays(rng: Generator, windows: int) -> Traffic:
    """Every third week, from the third on, Wednesday is as a Sunday."""
    hours = np.arange(windows)
    day = hours // DAY
    weekend = (day % 7 >= 5) | (day % 21 == 2 + 14)
    noise = rng.standard_normal((windows, len(RATES)))
    return _counted(rng, noise + _daily(hours, weekend) / SD)


HOLIDAYS: Final = tuple(
    (FIRST_DAY + timedelta(days=day)).isoformat() for day in range(2 + 14, 1_000, 21)
)

CLOCK_CHANGE_MS: Final = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()) * 1000
CHANGE_AFTER: Final = (336 + 14 * DAY) // DAY * DAY
"""Hours of the traffic before Europe's clocks change: two weeks after the calibration."""


def _clock_change(rng: Generator, windows: int) -> Traffic:
    """The cycle follows the local time of Berlin, where clocks change."""
    hours = np.arange(windows)
    local = hours + (hours >= CHANGE_AFTER)
    noise = rng.standard_normal((windows, len(RATES)))
    cycle = _daily(local, local // DAY % 7 >= 5, by=0.8) / SD
    counted = _counted(rng, noise + cycle)
    return _traffic(counted.x, counted.n, CLOCK_CHANGE_MS - CHANGE_AFTER * HOUR_MS)


NULLS: Final[Mapping[str, Null]] = {
    "Student t₃": Null(_students, (336, 168, 48)),
    "AR(1), φ = .95": Null(_persistent, (336, 168, 48)),
    "long memory": Null(_long_memory),
    "near random walk": Null(_wandering),
    "rare LFs noisier": Null(_rare_noisier),
    "all or nothing": Null(_all_or_nothing),
    "copies × 10, 1 window of 20": Null(_copies(10, 0.05)),
    "copies × 50, 1 window of 20": Null(_copies(50, 0.05)),
    "copies × 50, 1 window of 100": Null(_copies(50, 0.01)),
    "days drawn from twenty": Null(_template_days),
    "holidays, not in the calendar": Null(_holidays),
    "holidays in the calendar": Null(_holidays, civil=CivilTime(calendar=HOLIDAYS)),
    "clocks change, followed in UTC": Null(_clock_change),
    "clocks change, in local time": Null(_clock_change, civil=CivilTime("Europe/Berlin")),
}
