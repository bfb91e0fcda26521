"""What must become of each input, decided one by one in plain Python.

Nothing of the product is used here: no codec, no engine, no counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.traffic import BROKEN, JITTER_MS, LATENESS_MS, STRAGGLER, WINDOW_MS

Place = tuple[int, int]
"""(partition, window start)"""
Tally = Counter[str]

LF_NAMES = ("mentions_free", "thanks", "short", "deal")

_REASONS = {value: reason for reason, value in BROKEN.items()}


class UnfairError(AssertionError):
    """The traffic itself breaks the rules by which exactness can be told."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it must be kept."""

    partition: int
    offset: int
    reason: str
    payload: bytes


@dataclass
class Expected:
    """What the database must hold, for these inputs."""

    ends: dict[int, int] = field(default_factory=dict)
    on_time: defaultdict[Place, Tally] = field(default_factory=lambda: defaultdict(Counter))
    """Counts of the records that must be counted."""
    stragglers: Counter[Place] = field(default_factory=Counter)
    """How many records are counted or late, whichever it was."""
    letters: list[Letter] = field(default_factory=list)
    latest_ms: int = 0
    by_place: defaultdict[Place, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    late_able: defaultdict[Place, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    @property
    def records(self) -> int:
        """All inputs that are records."""
        return sum(map(len, self.by_place.values())) + self.stragglers.total()


def judge_inputs(topic: Mapping[int, Sequence[bytes]], *, blank_counts: bool = True) -> Expected:
    """Decide about every input; *topic* is partition → its inputs by offset.

    *blank_counts*: one of no bytes is an input; as a line of a file it only takes an offset.
    """
    expected = Expected()
    for partition, inputs in sorted(topic.items()):
        expected.ends[partition] = len(inputs)
        latest_ms = 0
        for offset, value in enumerate(inputs):
            if not value and not blank_counts:
                continue
            if value in _REASONS:
                expected.letters.append(Letter(partition, offset, _REASONS[value], value))
                continue
            record = json.loads(value)
            at_ms = int(record["timestamp"])
            place = (partition, at_ms - at_ms % WINDOW_MS)
            latest_ms = max(latest_ms, at_ms)
            if record["id"].startswith("s"):
                expected.stragglers[place] += 1
                expected.late_able[place].append(value)
                continue
            if at_ms < latest_ms - LATENESS_MS:
                raise UnfairError(
                    f"{partition}:{offset} is no straggler but {latest_ms - at_ms} behind"
                )
            expected.on_time[place].update(cells(record))
            expected.by_place[place].append(value)
        expected.latest_ms = max(expected.latest_ms, latest_ms)
    assert JITTER_MS < LATENESS_MS
    return expected


def votes(text: str) -> tuple[str, ...]:
    """Return what each LF says: a class, ``abstain`` or ``error``."""
    words = text.split()
    return (
        "SPAM" if "free" in words else "abstain",
        "HAM" if "thanks" in words else "abstain",
        "HAM" if len(words) < 3 else "abstain",
        "error" if "boom" in words else "SPAM" if "deal" in words else "abstain",
    )


def cells(record: Mapping[str, str]) -> Tally:
    """Return the cells of the counts that one record adds one to."""
    said = votes(record["text"])
    given = [vote for vote in said if vote in {"HAM", "SPAM"}]
    found: Tally = Counter()
    for segment in ("_all", f"country={record['country']}"):
        found[f"{segment} records"] += 1
        found[f"{segment} covered"] += bool(given)
        found[f"{segment} blind"] += not given and "error" not in said
        found[f"{segment} overlapped"] += len(given) > 1
        found[f"{segment} conflicted"] += len(set(given)) > 1
        for name, vote in zip(LF_NAMES, said, strict=True):
            found[f"{segment} {name} {vote}"] += 1
    return +found


def times(n: int, tally: Mapping[str, int]) -> Tally:
    """Return n times the counts."""
    return Counter({cell: n * k for cell, k in tally.items() if n})


STRAGGLER_CELLS = cells(STRAGGLER)
