"""How far the watermark of a partition may go that was read to its end. Pure, but for its memory.

A partition without traffic must not hold the windows of the others for ever, and an outage must
not make late what comes after it. So the watermark of an idle partition follows what the *stream*
has seen, not the clock: the newest event as it was ``idle_grace`` ago. While other partitions have
traffic, that lets them close their windows. When nothing comes at all it stands still, and a
producer that catches up loses nothing, until the silence has lasted for ``silence_grace``; from
then on it follows the clock, that much behind it.

Two silences never end by the clock: before the first record there is nothing to close, and while
the range of the baseline lies ahead its history may still be on its way.

Worked example, idle_grace 1 min, silence_grace 1 h: the last record of the stream is of 17:30.
An idle partition stands at 17:30 from 17:31 on. At 18:20 the producer is back and sends what it
has kept since 17:30: nothing of it is late. Had it stayed away, the watermark would pass 17:31 at
18:31, and close the window of 17:00 a little later.
"""

from __future__ import annotations

from collections import deque

from tidegauge_service.store.ingest.arrivals import Arrivals

KEPT = 64
"""Number of sightings kept per grace, roughly: a newer one replaces the last if they are closer."""


class Idleness:
    """Remembers what the stream had seen when. One per worker; forgets at a jump of the clock."""

    def __init__(self, grace_ms: int, silence_ms: int) -> None:
        """Make it; *silence_ms* below *grace_ms* would be no grace, and counts as equal to it."""
        self._grace_ms = grace_ms
        self._silence_ms = max(silence_ms, grace_ms)
        self._seen: deque[tuple[int, int]] = deque()

    def watermark(self, arrivals: Arrivals, now_ms: int) -> int | None:
        """Return where an idle partition's watermark may be, epoch ms; None: where it stands.

        The caller has proved that the partition was read to its end at *now_ms*.
        """
        newest, heard = arrivals.newest_event_ms, arrivals.heard_ms
        if newest is None:
            return None
        self._remember(newest, now_ms)
        then = self._as_of(now_ms - self._grace_ms)
        follows = None if then is None else min(then, now_ms - self._grace_ms)
        silent = heard is None or now_ms - heard >= self._silence_ms
        if arrivals.before_range_end or not silent:
            return follows
        clock = now_ms - self._silence_ms
        return clock if follows is None else max(clock, follows)

    def _remember(self, newest: int, now_ms: int) -> None:
        if self._seen and now_ms < self._seen[-1][0]:
            self._seen.clear()
        if not self._seen or now_ms - self._seen[-1][0] > self._grace_ms // KEPT:
            self._seen.append((now_ms, newest))

    def _as_of(self, moment_ms: int) -> int | None:
        """Return the newest event as of a moment, and forget what came before that sighting."""
        while len(self._seen) > 1 and self._seen[1][0] <= moment_ms:
            self._seen.popleft()
        if not self._seen or self._seen[0][0] > moment_ms:
            return None
        return self._seen[0][1]
