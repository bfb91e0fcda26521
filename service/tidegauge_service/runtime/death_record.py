"""Why workers die: over one LF, over one batch, or for a reason that is not theirs."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import Final

from tidegauge_service.ingest.heartbeat import Beat, Columns, Phase

DEATHS: Final = 3
"""An LF is quarantined when the worker dies in it this often in a row."""

KILLED: Final = frozenset({signal.SIGKILL, signal.SIGTERM})
"""Signals that can also come from outside: the kernel out of memory, an operator, a container
stop."""

SMALLER: Final = 10
"""Factor by which the first batch shrinks after a worker was killed over a batch, not in an LF."""


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a worker. ``code`` is negative for a signal."""

    code: int
    beat: Beat
    """What the worker was doing."""
    progress: int
    """Batches with inputs that it had committed."""

    @property
    def by_signal_from_outside(self) -> bool:
        """Whether it may have been killed for a reason that has nothing to do with it."""
        return -self.code in KILLED

    @property
    def text(self) -> str:
        """How it ended, for messages."""
        return f"exit code {self.code}" if self.code >= 0 else f"signal {self._signal}"

    @property
    def _signal(self) -> str:
        return signal.Signals(-self.code).name


@dataclass(frozen=True, slots=True)
class DeathRecord:
    """The deaths in a row of the workers of one slot.

    Example: SIGSEGV in LF 3, twice, then once in LF 5: ``in_lf`` is 1, 2, 1. After two deaths
    while a batch was decoded, the next worker starts with a hundredth of the usual batch.
    """

    lf: tuple[str, int] | None = None
    """The LF that the last worker died in: its ProbeSet and its column in the heartbeat."""
    in_lf: int = 0
    """How many workers in a row died in that LF."""
    over_batch: int = 0
    """How many in a row were killed over a batch, outside of LFs."""

    def after(self, death: Death, calls: Columns) -> DeathRecord:
        """Add a death. *calls*: the LFs by their columns.

        Who is killed from outside is in some LF most of the time; so a kill counts against the LF
        only if the worker got nothing committed, which is what a record that kills looks like.
        """
        decoding = death.beat.phase in {Phase.DECODING, Phase.COUNTING}
        over_batch = self.over_batch + 1 if decoding else 0
        innocent = death.by_signal_from_outside and death.progress
        fatal_lf = death.beat.phase is Phase.PROBING and not innocent
        if not fatal_lf or death.beat.column >= len(calls):
            return DeathRecord(over_batch=over_batch)
        lf = calls[death.beat.column][0], death.beat.column
        return DeathRecord(lf, self.in_lf + 1 if lf == self.lf else 1, over_batch)

    def without_lf(self) -> DeathRecord:
        """Begin to count the deaths in one LF anew."""
        return replace(self, lf=None, in_lf=0)

    @property
    def blames_lf(self) -> bool:
        """Whether so many died in one LF that it has to be quarantined."""
        return self.in_lf >= DEATHS

    def first_batch(self, usual: int) -> int | None:
        """Return how many inputs the next worker takes at first, if not the usual number."""
        if not self.over_batch:
            return None
        return max(1, usual // int(SMALLER**self.over_batch))
