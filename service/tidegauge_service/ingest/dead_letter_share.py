"""The share of inputs that are no records, above which a stream stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tidegauge_service.errors import StreamHalted
from tidegauge_service.store.ingest.commit import DeadLetter

JUDGED_INPUTS: Final = 1_000
"""The share is judged over at least this many inputs."""


@dataclass
class DeadLetterShare:
    """Stops the stream when too large a share of its inputs are no records."""

    share: float
    inputs: int = 0
    dead: Counter[str] = field(default_factory=Counter)

    def add(self, inputs: int, dead: Iterable[DeadLetter]) -> None:
        """Add a batch; StreamHalted if too large a share of the last inputs are dead letters."""
        self.inputs += inputs
        self.dead.update(letter.reason for letter in dead)
        if self.inputs < JUDGED_INPUTS:
            return
        total, inputs = self.dead.total(), self.inputs
        reasons = ", ".join(f"{reason} {n}" for reason, n in self.dead.most_common())
        self.inputs = 0
        self.dead.clear()
        if total > self.share * inputs:
            msg = (
                f"{total} of {inputs} inputs are no records ({reasons}): stopped, so that no "
                f"window is judged on a fragment. They are kept as dead letters. Check `record` "
                f"in the stream file, or raise limits.dead_letter_share ({self.share})"
            )
            raise StreamHalted(msg)
