"""Counts of one pane: what is added up per window, and nothing else.

Everything is an integer and additive, so that counts of partitions, workers, batches and
windows add to the same bytes in any order. Formulas follow Snorkel's ``LFAnalysis``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.errors import CountsError
from tidegauge_probes.findings import ALL
from tidegauge_probes.model import ABSTAIN, ERROR, Outcomes, VoteMatrix

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

RECORDS, COVERED, BLIND, OVERLAPPED, CONFLICTED = range(5)
"""Places in ``SegmentCounts.totals``. A record with errors and no vote is neither covered
nor blind: nobody knows."""

_MAGIC: Final = b"TGC"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<3sBII")  # magic, version, LFs, classes


@dataclass(frozen=True, eq=False)
class SegmentCounts:
    """Counts of one segment.

    ``totals``: int64 [5], records, covered, blind, overlapped, conflicted.
    ``outcomes``: int64 [m, K + 2], votes per class, abstains, errors.
    ``overlaps``, ``conflicts``: int64 [m], votes of the LF on records where another LF votes,
    or votes differently.
    """

    totals: Ints
    outcomes: Ints
    overlaps: Ints
    conflicts: Ints

    def __add__(self, other: SegmentCounts) -> SegmentCounts:
        """Add, array by array."""
        return SegmentCounts(
            self.totals + other.totals,
            self.outcomes + other.outcomes,
            self.overlaps + other.overlaps,
            self.conflicts + other.conflicts,
        )

    @property
    def votes(self) -> Ints:
        """Votes of each LF, int64 [m]."""
        return np.asarray(self.outcomes[:, :-2].sum(axis=1), dtype=np.int64)

    @property
    def errors(self) -> Ints:
        """Errors of each LF, int64 [m]."""
        return self.outcomes[:, -1]


@dataclass(frozen=True, eq=False)
class PaneCounts:
    """Counts of some records: per segment, the Gram matrix, and the faults.

    ``gram``: int64 [mK, mK], ψᵀψ of the one-hot votes, column j·K + k for LF j and class k:
    how often each pair of (LF, class) votes on the same record.
    ``faults``: (LF, exception type) → (count, the smallest message): the smallest, because a
    first or last one would depend on the order of adding.
    """

    lfs: int
    classes: int
    segments: Mapping[str, SegmentCounts]
    gram: Ints
    faults: Mapping[tuple[int, str], tuple[int, str]] = field(default_factory=dict)

    def __add__(self, other: PaneCounts) -> PaneCounts:
        """Add counts made over the same layout; CountsError otherwise."""
        if (self.lfs, self.classes) != (other.lfs, other.classes):
            mine, theirs = f"{self.lfs}×{self.classes}", f"{other.lfs}×{other.classes}"
            msg = f"counts of {mine} LFs×classes cannot be added to {theirs}: another ProbeSet"
            raise CountsError(msg)
        segments = dict(self.segments)
        for name, counts in other.segments.items():
            segments[name] = segments[name] + counts if name in segments else counts
        faults = _add_faults(self.faults, other.faults)
        return PaneCounts(self.lfs, self.classes, segments, self.gram + other.gram, faults)

    def __eq__(self, other: object) -> bool:
        """Equal counts encode to equal bytes."""
        return isinstance(other, PaneCounts) and self.encode() == other.encode()

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(self.encode())

    @property
    def all(self) -> SegmentCounts:
        """Counts over every record."""
        return self.segments[ALL]

    @property
    def records(self) -> int:
        """Number of records counted."""
        return int(self.all.totals[RECORDS])

    def encode(self) -> bytes:
        """Return the versioned, compressed, little-endian form; equal counts, equal bytes."""
        names = sorted(self.segments)
        body = {
            "segments": [[name, _pack(self.segments[name])] for name in names],
            "gram": self.gram.astype("<i8").tobytes(),
            "faults": [[*key, *value] for key, value in sorted(self.faults.items())],
        }
        header = _HEADER.pack(_MAGIC, _VERSION, self.lfs, self.classes)
        return header + zlib.compress(msgspec.msgpack.encode(body), level=1)


class _Body(msgspec.Struct):
    segments: list[tuple[str, bytes]]
    gram: bytes
    faults: list[tuple[int, str, int, str]]


def empty(lfs: int, classes: int) -> PaneCounts:
    """Return the counts of no records."""
    none = np.empty((0, lfs), dtype=np.int8)
    return fold(VoteMatrix(none, np.empty((0, 0), np.bool_), np.zeros(lfs)), classes, {})


def fold(matrix: VoteMatrix, classes: int, segments: Mapping[str, Mask]) -> PaneCounts:
    """Count a batch: the one fold that stream, replay and baseline share.

    *segments* maps a segment's name to bool [n], its records. ``_all`` is always counted.
    """
    outcomes = matrix.outcomes
    counted = {ALL: _count(outcomes, classes)}
    for name, mask in segments.items():
        if mask.any():
            counted[name] = _count(outcomes[mask], classes)
    faults: dict[tuple[int, str], tuple[int, str]] = {}
    for fault in matrix.faults:
        n, message = faults.get((fault.probe, fault.type), (0, fault.message))
        faults[(fault.probe, fault.type)] = (n + 1, min(message, fault.message))
    return PaneCounts(outcomes.shape[1], classes, counted, gram(outcomes, classes), faults)


def _count(outcomes: Outcomes, classes: int) -> SegmentCounts:
    voted = outcomes >= 0
    votes_per_record = voted.sum(axis=1)
    failed = (outcomes == ERROR).any(axis=1)
    covered, overlapped = votes_per_record > 0, votes_per_record > 1
    conflicted = _conflicted(outcomes, voted) if len(outcomes) else covered
    blind = ~covered & ~failed
    masks = (covered, blind, overlapped, conflicted)
    totals = [len(outcomes), *(int(mask.sum()) for mask in masks)]
    codes = [*range(classes), ABSTAIN, ERROR]
    tally = np.stack([(outcomes == code).sum(axis=0) for code in codes], axis=1)
    return SegmentCounts(
        np.array(totals, dtype=np.int64),
        tally.astype(np.int64),
        voted[overlapped].sum(axis=0, dtype=np.int64),
        voted[conflicted].sum(axis=0, dtype=np.int64),
    )


def _conflicted(outcomes: Outcomes, voted: Mask) -> Mask:
    """Mark records on which two LFs vote differently: highest and lowest vote differ."""
    highest = np.where(voted, outcomes, np.int8(-1)).max(axis=1)
    lowest = np.where(voted, outcomes, np.int8(127)).min(axis=1)
    return np.asarray((highest != lowest) & (highest >= 0), dtype=np.bool_)


def gram(outcomes: Outcomes, classes: int) -> Ints:
    """Return ψᵀψ, int64 [mK, mK], of the one-hot votes of int8 [n, m] outcomes.

    The product runs in float32 in slices of 2²⁴ records, up to which it is exact.
    """
    n, m = outcomes.shape
    total = np.zeros((m * classes, m * classes), dtype=np.int64)
    for start in range(0, n, 2**24):
        part = outcomes[start : start + 2**24]
        one_hot = part[:, :, None] == np.arange(classes, dtype=np.int8)
        psi = one_hot.reshape(len(part), m * classes).astype(np.float32)
        total += np.rint(psi.T @ psi).astype(np.int64)
    return total


def _add_faults(
    ours: Mapping[tuple[int, str], tuple[int, str]],
    theirs: Mapping[tuple[int, str], tuple[int, str]],
) -> dict[tuple[int, str], tuple[int, str]]:
    total = dict(ours)
    for key, (n, message) in theirs.items():
        before, kept = total.get(key, (0, message))
        total[key] = (before + n, min(kept, message))
    return total


def _pack(counts: SegmentCounts) -> bytes:
    arrays = (counts.totals, counts.outcomes, counts.overlaps, counts.conflicts)
    return b"".join(array.astype("<i8").tobytes() for array in arrays)


def _unpack(packed: bytes, lfs: int, classes: int) -> SegmentCounts:
    sizes = [5, lfs * (classes + 2), lfs, lfs]
    values = np.frombuffer(packed, dtype="<i8").astype(np.int64)
    if len(values) != sum(sizes):
        msg = "a segment has the wrong number of counts"
        raise ValueError(msg)
    totals, outcomes, overlaps, conflicts = np.split(values, np.cumsum(sizes)[:-1])
    return SegmentCounts(totals, outcomes.reshape(lfs, classes + 2), overlaps, conflicts)


def decode(encoded: bytes) -> PaneCounts:
    """Read what ``encode`` wrote; CountsError for anything else."""
    try:
        magic, version, lfs, classes = _HEADER.unpack_from(encoded)
    except struct.error as error:
        msg = "stored counts are cut short: restore the database or drop the pane"
        raise CountsError(msg) from error
    if magic != _MAGIC:
        msg = "stored counts do not start with tidegauge's mark: something else wrote them"
        raise CountsError(msg)
    if version != _VERSION:
        msg = f"stored counts have version {version}, this tidegauge reads {_VERSION}: upgrade it"
        raise CountsError(msg)
    try:
        body = msgspec.msgpack.decode(zlib.decompress(encoded[_HEADER.size :]), type=_Body)
        side = lfs * classes
        gram_counts = np.frombuffer(body.gram, dtype="<i8").astype(np.int64).reshape(side, side)
        segments = {name: _unpack(packed, lfs, classes) for name, packed in body.segments}
        faults = {(probe, kind): (n, message) for probe, kind, n, message in body.faults}
        return PaneCounts(lfs, classes, segments, gram_counts, faults)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        msg = f"stored counts are broken ({error}): restore the database or drop the pane"
        raise CountsError(msg) from error
