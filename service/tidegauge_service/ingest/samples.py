"""Small uniform samples of each window, kept while nobody knows yet whether it will alert.

Bottom-k sampling: each record has a priority, a keyed hash of its id and time; each bucket keeps
the k smallest. That is a uniform sample, the same after a crash and from whatever source the
records come, and samples of partitions merge by taking the k smallest again (Cohen & Kaplan 2007).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.model import ERROR, Outcomes, Record
from tidegauge_service.config.stream_file import SampleSizes
from tidegauge_service.store.states import SampleBucket, of_lf

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_PRIORITY: Final = 2**62


def priorities(stream: str, records: Sequence[Record]) -> Ints:
    """Return a 62-bit keyed hash of each record's id and time, int64 [n].

    SplitMix64's finaliser (Steele et al. 2014) over the CRC of the id and the time, keyed by a hash
    of the stream's name. The time is there for ids that many records share: they must not be drawn
    all together.
    """
    name = hashlib.blake2b(stream.encode(), digest_size=8)
    n = len(records)
    ids = (zlib.crc32(record.id.encode("utf-8", "surrogatepass")) for record in records)
    times = np.fromiter((record.timestamp_ms for record in records), dtype=np.int64, count=n)
    z = times.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z ^= np.fromiter(ids, dtype=np.uint64, count=n)
    z += np.uint64(int.from_bytes(name.digest(), "little"))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)


def buckets(outcomes: Outcomes, names: Sequence[str]) -> dict[str, Mask]:
    """Return which records belong to which bucket: all, blind spot, conflict, each LF's votes."""
    voted = outcomes >= 0
    highest = np.where(voted, outcomes, np.int8(-1)).max(axis=1)
    lowest = np.where(voted, outcomes, np.int8(127)).min(axis=1)
    found: dict[str, Mask] = {
        SampleBucket.ALL: np.ones(len(outcomes), dtype=np.bool_),
        SampleBucket.BLIND_SPOT: ~voted.any(axis=1) & ~(outcomes == ERROR).any(axis=1),
        SampleBucket.CONFLICT: (highest >= 0) & (highest != lowest),
    }
    return found | {of_lf(name): voted[:, j] for j, name in enumerate(names)}


@dataclass
class WindowSampler:
    """The smallest priorities that each bucket of one window and partition has seen."""

    sizes: SampleSizes
    limits: dict[str, int] = field(default_factory=dict)
    """Bucket that is full → its highest priority: only what is lower enters. Several partitions
    of a window may share it, for only the k smallest of all of them stay in the end."""
    smallest: dict[str, Ints] = field(default_factory=dict)

    def size(self, bucket: str) -> int:
        """Return k of a bucket."""
        return self.sizes.blind_spot if bucket == SampleBucket.BLIND_SPOT else self.sizes.each

    def take(self, priority: Ints, belongs: Mapping[str, Mask]) -> dict[int, list[str]]:
        """Return row → buckets for the records that enter a sample, and remember them.

        A record that enters now may be pushed out later; the surplus goes at evaluation.
        """
        taken: dict[int, list[str]] = {}
        for bucket, mask in belongs.items():
            limit = self.limits.get(bucket)
            rows = np.flatnonzero(mask if limit is None else mask & (priority < limit))
            if not len(rows):
                continue
            for row in rows[self._enter(bucket, priority[rows])]:
                taken.setdefault(int(row), []).append(bucket)
        return taken

    def _enter(self, bucket: str, priority: Ints) -> Mask:
        k = self.size(bucket)
        seen = self.smallest.get(bucket, np.empty(0, dtype=np.int64))
        together = np.concatenate([seen, priority])
        if len(together) >= k:
            together = np.partition(together, k - 1)[:k] if k else together[:0]
            highest = int(together[-1]) if k else -1
            self.limits[bucket] = min(highest, self.limits.get(bucket, MAX_PRIORITY))
        self.smallest[bucket] = together
        return priority <= self.limits.get(bucket, MAX_PRIORITY)

    def restore(self, kept: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        """Remember what the database keeps."""
        by_bucket: dict[str, list[int]] = {}
        for priority, names in kept:
            for name in names:
                by_bucket.setdefault(name, []).append(priority)
        for name, values in by_bucket.items():
            self._enter(name, np.array(values, dtype=np.int64))


class Samplers(dict[int, WindowSampler]):
    """The samplers of a partition by window start; a new window gets one.

    *limits*: by window start, shared with the other partitions of a worker (``WindowSampler``).
    """

    def __init__(
        self,
        sizes: SampleSizes,
        limits: dict[int, dict[str, int]],
        kept: Mapping[int, Sequence[tuple[int, tuple[str, ...]]]],
    ) -> None:
        """Make them of what the database keeps, by window start."""
        super().__init__()
        self._sizes, self._limits = sizes, limits
        for start, some in kept.items():
            self[start].restore(some)

    def __missing__(self, start: int) -> WindowSampler:
        """Begin a window."""
        sampler = WindowSampler(self._sizes, self._limits.setdefault(start, {}))
        self[start] = sampler
        return sampler
