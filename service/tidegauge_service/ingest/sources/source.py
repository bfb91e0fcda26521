"""What every source is: partitions of inputs, each with an offset, read in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import msgspec

from tidegauge_service.ingest.codec.rejection import DeadLetterReason


class Raw(msgspec.Struct, frozen=True, gc=False):
    """One input as it came: bytes, or fields where the format has them (CSV, Parquet).

    A Struct, for there is one for every input: made five times as fast as a frozen dataclass, and
    nothing for the garbage collector to look at.
    """

    partition: int
    offset: int
    value: bytes | Mapping[str, Any] | None
    timestamp_ms: int | None = None
    """The source's own timestamp, if it has one (Kafka)."""
    fault: str | None = None
    """Why the source itself could not read it; ``value`` is then whatever could be read."""
    reason: DeadLetterReason | None = None
    """The kind of fault; None: a Kafka batch that cannot be decoded."""
    size: int | None = None
    """Its full size in bytes, where ``value`` is only the beginning."""


def is_tombstone(raw: Raw) -> bool:
    """Whether an input has no value at all: Kafka's delete marker. Zero bytes are a value."""
    return raw.value is None and raw.fault is None


_PER_FIELD = 64
"""Bytes counted for a field of CSV or Parquet besides its texts: a number, a time, a pointer."""


def weight(raw: Raw) -> int:
    """Return about how many bytes an input holds in memory, before it is decoded.

    >>> weight(Raw(0, 0, b"12345"))
    5
    """
    value = raw.value
    if type(value) is bytes:
        return len(value)
    return sum(map(_weight, value.items())) if isinstance(value, Mapping) else 0


def _weight(value: object) -> int:
    """Count texts and bytes wherever they are; fields of Parquet may be nested."""
    if isinstance(value, str | bytes):
        return _PER_FIELD + len(value)
    if isinstance(value, Mapping):
        return _PER_FIELD + sum(map(_weight, value.items()))
    if isinstance(value, list | tuple):
        return _PER_FIELD + sum(map(_weight, value))
    return _PER_FIELD


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought: inputs, and partitions that came or went meanwhile.

    ``gained`` partitions must be sought before their inputs are used; inputs of partitions
    that are not the caller's (yet) are never among ``inputs``. ``assigned``: it was said which
    partitions are the caller's; there may be none. ``reached``: where partitions go on, if that
    may be past the last input, because offsets are missing (Kafka: markers of transactions,
    compaction). ``out_of_range``: partitions whose next offset the source does not hold, and
    where their log ends.
    """

    inputs: Sequence[Raw] = ()
    gained: frozenset[int] = field(default=frozenset())
    lost: frozenset[int] = field(default=frozenset())
    assigned: bool = False
    reached: Mapping[int, int] = field(default_factory=dict)
    out_of_range: Mapping[int, int] = field(default_factory=dict)


class Source(Protocol):
    """A place that inputs come from. Not thread-safe: one worker owns it."""

    def beginnings(self) -> dict[int, int]:
        """Return every partition of the source, owned or not, with the offset to start at."""

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return what there is, after at most *timeout_s*. Raises SourceError."""

    def seek(self, partition: int, offset: int) -> None:
        """Continue reading *partition* at *offset*."""

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the offset after the last input of each partition, as of now."""

    def report(self, positions: Mapping[int, int]) -> None:
        """Hint outward how far we are (Kafka's committed offsets); best effort, no promise."""

    def close(self) -> None:
        """Release everything."""


@runtime_checkable
class Member(Protocol):
    """A source that is read by a group, whose members must be heard of to keep their partitions."""

    def rest(self, timeout_s: float) -> None:
        """Take no input for so long, and stay a member; the next poll goes on. Raises nothing."""


@runtime_checkable
class SizeLimited(Protocol):
    """A source that ends a poll early when its inputs are large."""

    def allow(self, max_bytes: int) -> None:
        """Let the next polls stop at the first input that reaches so many bytes (``weight``)."""


@runtime_checkable
class Bookmarked(Protocol):
    """A source that can note where an offset stands, to find and recognise the place again."""

    def mark(self, partition: int, offset: int) -> str | None:
        """Return a bookmark at *offset* or before it; kept with the position by its commit."""


def bookmark(source: Source, partition: int, offset: int) -> str | None:
    """Return the source's bookmark at *offset* or before it; None if it has none."""
    return source.mark(partition, offset) if isinstance(source, Bookmarked) else None


@runtime_checkable
class Clustered(Protocol):
    """A source whose server says who it is."""

    def cluster_id(self) -> str | None:
        """Return the server's own id, the same at whatever address it is reached."""


@runtime_checkable
class Retained(Protocol):
    """A source that may not hold any more what would be read next. All raise SourceError."""

    def identity(self) -> str | None:
        """Return what the source is now; another one if it was made anew under its name."""

    def held(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the first offset that each partition holds, and its end."""

    def hold(self, partition: int) -> None:
        """Take nothing of a partition that is ours, until it is sought."""
