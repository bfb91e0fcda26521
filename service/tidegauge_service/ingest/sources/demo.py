"""The built-in stream of the demo as a source: seeded, so that every offset can be read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from tidegauge_service.ingest.sources.source import Polled, Raw

Generator = Callable[[int], bytes]


class DemoStream:
    """One partition whose input at each offset is a pure function of the offset.

    *rate*: inputs a second, 0 for as fast as it goes; *limit*: inputs in all, None for no end;
    *ceiling*: how many inputs can exist so far, so that none comes from the future.
    """

    def __init__(
        self,
        raw_at: Generator,
        rate: float = 0,
        limit: int | None = None,
        ceiling: Callable[[], int] | None = None,
    ) -> None:
        self._raw_at = raw_at
        self._rate = rate
        self._limit = limit
        self._ceiling = ceiling
        self._next = 0
        self._started: tuple[float, int] | None = None
        self._announced = False

    def beginnings(self) -> dict[int, int]:
        """Return its one partition."""
        return {0: 0}

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the inputs that are due."""
        if not self._announced:
            self._announced = True
            return Polled(gained=frozenset({0}))
        due = min(self._due(), self._next + max_records)
        if due <= self._next:
            time.sleep(timeout_s if not self._ended() else 0)
            return Polled()
        inputs = [Raw(0, offset, self._raw_at(offset)) for offset in range(self._next, due)]
        self._next = due
        return Polled(inputs)

    def _due(self) -> int:
        """Return the offset up to which inputs exist so far."""
        if self._started is None:
            self._started = (time.monotonic(), self._next)
        since, first = self._started
        due = first + int((time.monotonic() - since) * self._rate) if self._rate else 2**62
        bounds = [due, self._limit, self._ceiling() if self._ceiling else None]
        return min(bound for bound in bounds if bound is not None)

    def _ended(self) -> bool:
        return self._limit is not None and self._next >= self._limit

    def seek(self, partition: int, offset: int) -> None:
        """Continue at an offset."""
        del partition
        self._next = offset
        self._started = None

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the end, if it has one."""
        return {} if self._limit is None else dict.fromkeys(partitions, self._limit)

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to close."""
