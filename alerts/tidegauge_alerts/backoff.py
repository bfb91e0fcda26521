"""How long to wait before the next attempt. Pure: the caller draws the jitter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each failure in a row, up to ``longest_s``.

    ``spread`` is the share of a pause that jitter may take away, 0…1: those that failed together
    must not come back together. 1 is "full jitter" (Brooker 2015, Exponential Backoff And Jitter,
    AWS Architecture Blog).
    """

    first_s: float
    longest_s: float
    spread: float = 0.5

    def pause_s(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after the *failures*-th failure; *jitter* in 0…1 is uniform.

        >>> backoff = Backoff(0.5, 10.0)
        >>> [backoff.pause_s(n, 1.0) for n in (1, 2, 3, 6, 1_000)], backoff.pause_s(1, 0.0)
        ([0.5, 1.0, 2.0, 10.0, 10.0], 0.25)
        """
        doublings = min(max(failures, 1) - 1, 16)
        pause = min(self.longest_s, self.first_s * 2.0**doublings)
        return pause * (1 - self.spread + self.spread * min(max(jitter, 0.0), 1.0))
