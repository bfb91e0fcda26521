"""The story of the demo: what each window of the stream is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final

from tidegauge_service.demo.topics import CHANNEL_SHARES, TOPICS, WAVE, Topic

RAMP_WINDOWS: Final = 3
"""Windows until the wave has its full share, and until it is gone again."""

ALL_TOPICS: Final[tuple[Topic, ...]] = (*TOPICS, WAVE)

_THREE: Final = 3.0**0.5


@dataclass(frozen=True)
class Plan:
    """What happens when. Windows are counted from ``start_ms`` (epoch milliseconds).

    The first ``quiet_windows`` are the baseline. From ``shift_window`` on, a wave of records
    about a topic that no LF knows rises over three windows, and the pharmacy campaign
    disguises its words. At ``recover_window`` the words come back; the wave ebbs away over
    three windows unless ``wave_stays``.

    ``wave_share``: of mail, web and app records. ``noise``: relative standard deviation of a
    topic's share from window to window. ``dirty_share``: of inputs that are no good records.
    """

    start_ms: int = 1_767_225_600_000  # 2026-01-01T00:00:00Z
    window_ms: int = 3_600_000
    records_per_window: int = 300
    quiet_windows: int = 60
    shift_window: int = 66
    recover_window: int = 100
    wave_stays: bool = False
    wave_share: tuple[float, float, float] = (0.23, 0.11, 0.08)
    noise: float = 0.09
    dirty_share: float = 0.001

    def __post_init__(self) -> None:
        """Refuse a story out of order."""
        if not 0 < self.quiet_windows <= self.shift_window < self.recover_window:
            raise ValueError("need 0 < quiet_windows <= shift_window < recover_window")
        if self.window_ms < 1 or self.records_per_window < 1:
            raise ValueError("need at least one record and one millisecond in a window")

    def disguised(self, window: int) -> bool:
        """Whether the pharmacy campaign respells its words in *window*."""
        return self.shift_window <= window < self.recover_window

    def wave_level(self, window: int) -> float:
        """Return how much of the wave's full share *window* has, 0 to 1.

        >>> [round(Plan().wave_level(w), 2) for w in (65, 66, 67, 68, 99, 100, 101, 102)]
        [0.0, 0.33, 0.67, 1.0, 1.0, 0.67, 0.33, 0.0]
        """
        rising = (window - self.shift_window + 1) / RAMP_WINDOWS
        falling = 1.0
        if not self.wave_stays:
            falling = 1 - (window - self.recover_window + 1) / RAMP_WINDOWS
        return max(0.0, min(1.0, rising, falling))


@dataclass(frozen=True)
class TopicMix:
    """One window: cumulative shares of ``ALL_TOPICS``, for each channel."""

    cumulative: tuple[tuple[float, ...], ...]
    disguised: bool

    def shares(self) -> dict[str, float]:
        """Return each topic's expected share of the window's records."""
        result = dict.fromkeys((topic.name for topic in ALL_TOPICS), 0.0)
        for weight, bounds in zip(CHANNEL_SHARES, self.cumulative, strict=True):
            for topic, low, high in zip(ALL_TOPICS, (0.0, *bounds), bounds, strict=False):
                result[topic.name] += weight * (high - low)
        return result


@lru_cache(maxsize=4096)
def mix_at(seed: int, window: int, plan: Plan) -> TopicMix:
    """Return what *window* is made of: the plan's shares with noise of their own.

    Only the four operations and a square root, and no ``sum`` (its rounding changed with
    Python 3.12), so that every machine draws the same records.
    """
    draw = Random(f"{seed}:window:{window}").random  # noqa: S311  (a reproducible demo)
    noise = [_factor(plan.noise, draw(), draw(), draw(), draw()) for _ in ALL_TOPICS]
    level = plan.wave_level(window)
    return TopicMix(
        cumulative=tuple(
            _bounds(channel, min(0.9, share * level * noise[-1]), noise)
            for channel, share in enumerate(plan.wave_share)
        ),
        disguised=plan.disguised(window),
    )


def _factor(sd: float, *uniforms: float) -> float:
    """Return a bell-shaped, bounded factor with mean 1, from four uniform numbers.

    Their mean has variance 1/48, so its distance from one half, times √48 = 4·√3, has variance 1.
    """
    *_, total = accumulate(uniforms)
    return max(0.0, 1 + sd * (total / len(uniforms) - 0.5) * 4 * _THREE)


def _bounds(channel: int, wave: float, noise: Sequence[float]) -> tuple[float, ...]:
    """Cumulate the topics' shares of one channel; the wave takes its part of all of them."""
    weights = [
        topic.share * topic.by_channel[channel] * factor
        for topic, factor in zip(TOPICS, noise, strict=False)
    ]
    sums = list(accumulate(weights))
    return (*(total / sums[-1] * (1 - wave) for total in sums), 1.0)
