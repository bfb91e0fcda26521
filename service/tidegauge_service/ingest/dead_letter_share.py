"""The share of inputs that are no records, above which a stream stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegauge_service.errors import TooManyDeadLetters
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.store.ingest.dead_letter import DeadLetter

JUDGED_INPUTS: Final = 1_000
"""The share is judged over at least this many inputs."""


_KEYS: Final[Mapping[str, str]] = {
    DeadLetterReason.MISSING_ID: "record.id",
    DeadLetterReason.MISSING_TIMESTAMP: "record.timestamp",
}
"""What in the stream file to look at; else `record`."""

_VALUES: Final = (DeadLetterReason.BAD_TIMESTAMP, DeadLetterReason.FUTURE_TIMESTAMP)
"""There is something at the path: its values are wrong, or it is the wrong path."""


@dataclass
class DeadLetterShare:
    """Stops the stream when too large a share of its inputs are no records."""

    share: float
    inputs: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    """Reason → the detail of the first dead letter that has it."""

    def add(self, inputs: int, dead: Iterable[DeadLetter]) -> None:
        """Add a batch; TooManyDeadLetters if there are more than *share* among the last inputs."""
        self.inputs += inputs
        for letter in dead:
            self.dead[letter.reason] += 1
            self.details.setdefault(letter.reason, letter.detail)
        if self.inputs < JUDGED_INPUTS:
            return
        total, inputs = self.dead.total(), self.inputs
        cause = self._cause() if total > self.share * inputs else ""
        self.inputs = 0
        self.dead.clear()
        self.details.clear()
        if cause:
            kept = "The dead letters are kept: see `tidegauge dead-letters list`"
            raise TooManyDeadLetters(cause, kept)

    def _cause(self) -> str:
        total = self.dead.total()
        reasons = ", ".join(f"{reason} {n}" for reason, n in self.dead.most_common())
        most, _ = self.dead.most_common(1)[0]
        advice = f"Check `{_KEYS.get(most, 'record')}` in the stream file"
        if most in _VALUES:
            advice = "Check the values at `record.timestamp`, and the path"
        advice += ", or raise that limit" if total < self.inputs else ""
        return (
            f"{total} of {self.inputs} inputs could not be read as records ({reasons}), more than "
            f"limits.dead_letter_share ({self.share}): stopped, so that no window is compared on "
            f"part of its records. The first with {most}: {self.details[most]}. {advice}"
        )
