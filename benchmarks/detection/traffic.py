"""Seeded traffic: x of n per window and series, quiet or shifted, in hourly windows.

Thirty LFs, ten each of coverage .5, 5 and 30 %; what varies in quiet traffic is said by a
:class:`Climate`. Counts are drawn as they would be counted; no record is made.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Generator = np.random.Generator

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
DAY, WEEK = 24, 168
COVERAGES: Final = (0.005, 0.05, 0.30)
OF_EACH: Final = 10
RATES: Final = np.repeat(COVERAGES, OF_EACH)
MONDAY_MS: Final = 1_767_571_200_000
"""2026-01-05T00:00Z: the first window of every stream."""


@dataclass(frozen=True)
class Traffic:
    """Windows of series. ``starts``: epoch ms [W]; ``x`` of ``n``: int64 [W, S] each."""

    starts: Ints
    x: Ints
    n: Ints

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.starts)

    def __getitem__(self, windows: slice) -> Traffic:
        """Return some of the windows."""
        return Traffic(self.starts[windows], self.x[windows], self.n[windows])


@dataclass(frozen=True)
class Climate:
    """How quiet traffic varies. All amplitudes are relative to the rate."""

    daily: float = 0.0
    """Amplitude of a sine over the day; each LF has its own phase."""
    weekend: float = 0.0
    """By how much the rate is lower (or, for every other LF, higher) on Saturday and Sunday."""
    sd: float = 0.0
    """Standard deviation between windows: beta-binomial, or on the logit scale with ``phi``."""
    phi: float = 0.0
    """Lag-1 autocorrelation of that variation."""
    common: float = 0.0
    """Share of its variance that all LFs have in common."""
    uneven: bool = False
    """Volumes fall to a tenth at night, and vary by a half (log-normal)."""
    gaps: float = 0.0
    """Share of windows without any record, beside one day without."""


CLIMATES: Final[Mapping[str, Climate]] = {
    "iid": Climate(),
    "overdispersed": Climate(sd=0.10),
    "season": Climate(sd=0.10, daily=0.30),
    "weekly": Climate(sd=0.10, daily=0.20, weekend=0.30),
    "stress": Climate(sd=0.10, daily=0.30, phi=0.6, common=0.5),
    "uneven": Climate(sd=0.10, daily=0.30, uneven=True),
    "gaps": Climate(sd=0.10, daily=0.30, gaps=0.15),
}


def seeded(seed: int, *names: str | int) -> Generator:
    """Return the generator of one experiment: the same whatever else is run, and in any order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


@dataclass(frozen=True)
class World:
    """Quiet traffic before it is counted: what a shift is applied to.

    ``rates``: float64 [W, S], each window's true shares; ``n``: int64 [W, S].
    """

    rates: Floats
    n: Ints

    def count(self, rng: Generator) -> Traffic:
        """Draw x of n."""
        starts = MONDAY_MS + HOUR_MS * np.arange(len(self.rates), dtype=np.int64)
        return Traffic(starts, rng.binomial(self.n, self.rates).astype(np.int64), self.n)

    def shifted(self, series: int, factors: Floats) -> World:
        """Return the world with one series' rates multiplied from the last ``len(factors)`` on."""
        rates = self.rates.copy()
        rates[-len(factors) :, series] *= factors
        return replace(self, rates=np.clip(rates, 0.0, 1.0))


def world(
    rng: Generator, climate: Climate, windows: int, records: int, base: Floats = RATES
) -> World:
    """Draw the true rates and the volumes of quiet traffic."""
    expected = base * _seasons(rng, climate, windows, len(base))
    rates = _varied(rng, climate, expected)
    volume = _volumes(rng, climate, windows, records)
    return World(rates, np.repeat(volume[:, None], len(base), axis=1))


def _seasons(rng: Generator, climate: Climate, windows: int, series: int) -> Floats:
    hours = np.arange(windows)[:, None]
    phases = rng.uniform(0, 2 * math.pi, series)
    daily = 1 + climate.daily * np.sin(2 * math.pi * hours / DAY + phases)
    signs = np.where(np.arange(series) % 2, 1, -1)
    weekend = hours % WEEK >= 5 * DAY
    return np.asarray(daily * (1 + climate.weekend * signs * weekend))


def _varied(rng: Generator, climate: Climate, expected: Floats) -> Floats:
    if not climate.sd:
        return expected
    if climate.phi or climate.common:
        return _autocorrelated(rng, climate, expected)
    size = (1 - expected) / (expected * climate.sd**2) - 1
    return np.asarray(rng.beta(expected * size, (1 - expected) * size))


def _autocorrelated(rng: Generator, climate: Climate, expected: Floats) -> Floats:
    """Vary logit p by a stationary AR(1); sd/q there is a relative sd of p, to first order."""
    windows, series = expected.shape
    own, shared = ar1(rng, climate.phi, windows, series), ar1(rng, climate.phi, windows, 1)
    noise = math.sqrt(1 - climate.common) * own + math.sqrt(climate.common) * shared
    odds = expected / (1 - expected) * np.exp(climate.sd / (1 - expected) * noise)
    return np.asarray(odds / (1 + odds))


def ar1(rng: Generator, phi: float, windows: int, series: int) -> Floats:
    """Return stationary AR(1) noise of variance 1, float64 [W, S]."""
    noise = rng.standard_normal((windows, series))
    noise[1:] *= math.sqrt(1 - phi**2)
    for w in range(1, windows):
        noise[w] += phi * noise[w - 1]
    return noise


def _volumes(rng: Generator, climate: Climate, windows: int, records: int) -> Ints:
    volume = np.full(windows, float(records))
    if climate.uneven:
        night = 0.55 + 0.45 * np.sin(2 * math.pi * np.arange(windows) / DAY)
        volume *= night * rng.lognormal(-0.125, 0.5, windows)
    if climate.gaps:
        volume[rng.random(windows) < climate.gaps] = 0
        volume[windows // 3 : windows // 3 + DAY] = 0
    return volume.round().astype(np.int64)


def with_incident(quiet: World, until: int) -> World:
    """Return the world with an incident inside its first *until* windows, the calibration.

    Every third LF fires at three times its rate for twelve hours; one of each coverage is dead
    for a day.
    """
    rates = quiet.rates.copy()
    at = until // 2
    rates[at : at + 12, ::3] = np.minimum(3 * rates[at : at + 12, ::3], 0.95)
    rates[until // 4 : until // 4 + DAY, 1::OF_EACH] = 0.0
    return replace(quiet, rates=rates)


RAMP: Final = 48
"""Windows in which the slow ramp reaches +50 %."""

Shift = Callable[[int], Floats]
"""From a number of windows to the factors of the rate in them."""


def constant(factor: float) -> Shift:
    """Return a shift that is there at once and stays."""
    return lambda windows: np.full(windows, factor)


def ramp(windows: int) -> Floats:
    """Return a shift that grows evenly to +50 %."""
    return 1 + 0.5 * np.minimum(np.arange(1, windows + 1) / RAMP, 1.0)


SHIFTS: Final[Mapping[str, Shift]] = {
    "+25 %": constant(1.25),
    "+50 %": constant(1.5),
    "+100 %": constant(2.0),
    "−50 %": constant(0.5),
    "dead": constant(0.0),
    "ramp": ramp,
}


def with_pair(rng: Generator, quiet: World, overlap: float, agreement: float) -> World:
    """Return the world with one more series: how often two LFs agree where both vote.

    Its n is what both vote on, *overlap* of the records. Its rate varies as overdispersed does.
    """
    both = rng.binomial(quiet.n[:, :1], overlap)
    return _joined(quiet, _beta(rng, agreement, len(both)), both)


def with_blind_spot(rng: Generator, quiet: World, rate: float) -> World:
    """Return the world with one more series: records on which every LF abstains."""
    return _joined(quiet, _beta(rng, rate, len(quiet.n)), quiet.n[:, :1])


def _beta(rng: Generator, rate: float, windows: int) -> Floats:
    """Vary the rarer outcome by 10 %, so that .9 varies as .1 does."""
    rare = min(rate, 1 - rate)
    size = (1 - rare) / (rare * 0.10**2) - 1
    drawn = rng.beta(rare * size, (1 - rare) * size, size=(windows, 1))
    return np.asarray(drawn if rate <= 0.5 else 1 - drawn)


def _joined(quiet: World, rates: Floats, n: Ints) -> World:
    return World(np.hstack([quiet.rates, rates]), np.hstack([quiet.n, n]))
