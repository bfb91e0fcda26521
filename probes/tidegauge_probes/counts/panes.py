"""Counts of one pane: everything that is added up per window, and nothing else.

Everything is an integer and additive, so that counts of partitions, workers, batches and
windows add to the same bytes in any order. Formulas follow Snorkel's ``LFAnalysis``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.text_sample import FrequentText, TextSample
from tidegauge_probes.errors import CountsError
from tidegauge_probes.findings import ALL
from tidegauge_probes.model import ERROR, Outcomes, VoteMatrix

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_EXACT: Final = 2**24
"""Number of records whose float32 sums are still exact: batches are summed in slices of it."""

MAX_PAIRED: Final = 2_048
"""Maximum LFs × classes for which co-votes of any two votes are counted: 34 MB. Snorkel runs out
of memory with 1,200 LFs and 56 classes; counts for that would take 36 GB (snorkel#1656)."""

_CELLS: Final = 2**24
"""Maximum number of one-hot votes, float32, in memory at once."""

RECORDS, COVERED, BLIND, OVERLAPPED, CONFLICTED = range(5)
"""Indexes into ``SegmentCounts.totals``. A record with errors and no vote is neither covered
nor blind, since that is unknown."""

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
        return SegmentCounts(
            self.totals + other.totals,
            self.outcomes + other.outcomes,
            self.overlaps + other.overlaps,
            self.conflicts + other.conflicts,
        )

    @property
    def votes(self) -> Ints:
        return np.asarray(self.outcomes[:, :-2].sum(axis=1), dtype=np.int64)

    @property
    def errors(self) -> Ints:
        return self.outcomes[:, -1]


@dataclass(frozen=True, eq=False)
class PaneCounts:
    """Counts of some records: per segment, the Gram matrix, and the faults.

    ``gram``: int64 [mK, mK], ψᵀψ of the one-hot votes, column j·K + k for LF j and class k:
    how often each pair of (LF, class) votes on the same record; [0, 0] where mK is beyond
    ``MAX_PAIRED`` and pairs are not counted.
    ``faults``: (LF, exception type) → (count, the smallest message): the smallest, because a
    first or last one would depend on the order of adding.
    ``texts``: a sample of the distinct texts, while a window is open; ``distinct``: what it comes
    to, when it is closed (``settled``). None where texts were not looked at. Neither is part of
    the encoded form, or of equality.
    """

    lfs: int
    classes: int
    segments: Mapping[str, SegmentCounts]
    gram: Ints
    faults: Mapping[tuple[int, str], tuple[int, str]] = field(default_factory=dict)
    texts: TextSample | None = None
    distinct: DistinctCounts | None = None

    def __add__(self, other: PaneCounts) -> PaneCounts:
        """Add counts made over the same layout; CountsError otherwise."""
        if (self.lfs, self.classes) != (other.lfs, other.classes):
            mine, theirs = f"{self.lfs}×{self.classes}", f"{other.lfs}×{other.classes}"
            msg = f"counts of {mine} LFs×classes cannot be added to {theirs}: the ProbeSets differ"
            raise CountsError(msg)
        segments = dict(self.segments)
        for name, counts in other.segments.items():
            segments[name] = segments[name] + counts if name in segments else counts
        faults = _add_faults(self.faults, other.faults)
        gram = self.gram + other.gram
        # Where one part does not know its texts, nobody knows all. Of no records all are known.
        if not other.records:
            texts, distinct = self.texts, self.distinct
        elif not self.records:
            texts, distinct = other.texts, other.distinct
        else:
            texts = self.texts and other.texts and self.texts + other.texts
            distinct = self.distinct and other.distinct and self.distinct + other.distinct
        return PaneCounts(self.lfs, self.classes, segments, gram, faults, texts, distinct)

    def __eq__(self, other: object) -> bool:
        """Equal counts encode to equal bytes."""
        return isinstance(other, PaneCounts) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    @property
    def all(self) -> SegmentCounts:
        """Counts over every record."""
        return self.segments[ALL]

    @property
    def records(self) -> int:
        return int(self.all.totals[RECORDS])

    def settled(self) -> PaneCounts:
        """Return the counts of a closed window: its sample of texts counted, and dropped."""
        if self.texts is None:
            return self
        distinct = DistinctCounts.of(self.texts, self.classes, self.records)
        return replace(self, texts=None, distinct=distinct)

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


@dataclass(frozen=True, eq=False)
class DistinctCounts:
    """Counts of the distinct texts of one window, or the sums over several.

    ``counts``: of those in the sample, as of records. ``records``: how many there are.
    ``texts``: how many there are in all, about
    all where the sample does not hold every one (``level`` above 0). ``frequent``: those in the
    sample that came most often, of one window; the most frequent first.
    """

    counts: PaneCounts
    records: int
    texts: int
    level: int
    frequent: tuple[FrequentText, ...] = ()

    @classmethod
    def of(cls, sample: TextSample, classes: int, records: int) -> DistinctCounts:
        """Count a sample of the texts of so many records."""
        n, m = sample.outcomes.shape
        matrix = VoteMatrix(sample.outcomes, np.empty((n, 0), np.bool_), np.zeros(m))
        members = dict(zip(sample.segments, sample.members.T, strict=True))
        texts = min(sample.texts, records)
        counts = fold(matrix, classes, members)
        return cls(counts, records, texts, sample.level, sample.frequent())

    @property
    def copies(self) -> int:
        """How many records are copies of an earlier one, all or about all."""
        return self.records - self.texts

    def __add__(self, other: DistinctCounts) -> DistinctCounts:
        frequent = sorted((*self.frequent, *other.frequent), key=lambda text: -text.copies)
        return DistinctCounts(
            self.counts + other.counts,
            self.records + other.records,
            self.texts + other.texts,
            max(self.level, other.level),
            tuple(frequent[: len(self.frequent)]),
        )


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
    n, m = matrix.outcomes.shape
    taken = {ALL: np.ones(n, dtype=np.bool_)}
    taken |= {name: mask for name, mask in segments.items() if mask.any()}
    counted = dict.fromkeys(taken, _nothing(m, classes))
    side = _side(m, classes)
    gram = np.zeros((side, side), dtype=np.int64)
    # A float32 counts exactly only up to 2²⁴, and ψ of all records at once would fill the memory.
    step = max(1, min(MOST_EXACT, _CELLS // max(m * classes, 1)))
    for start in range(0, n, step):
        part = slice(start, start + step)
        votes = _Votes.of(matrix.outcomes[part], classes)
        if side:
            gram += votes.gram()
        for name, mask in taken.items():
            counted[name] += votes.count(None if name == ALL else np.flatnonzero(mask[part]))
    faults: dict[tuple[int, str], tuple[int, str]] = {}
    for fault in matrix.faults:
        before, message = faults.get((fault.probe, fault.type), (0, fault.message))
        faults[(fault.probe, fault.type)] = (before + 1, min(message, fault.message))
    return PaneCounts(m, classes, counted, gram, faults)


def counts_pairs(lfs: int, classes: int) -> bool:
    """Whether co-votes of any two votes are counted."""
    return lfs * classes <= MAX_PAIRED


def _side(lfs: int, classes: int) -> int:
    return lfs * classes if counts_pairs(lfs, classes) else 0


def _nothing(lfs: int, classes: int) -> SegmentCounts:
    none = np.zeros(lfs, dtype=np.int64)
    return SegmentCounts(
        np.zeros(5, np.int64), np.zeros((lfs, classes + 2), np.int64), none, none.copy()
    )


@dataclass(frozen=True, eq=False)
class _Votes:
    """The votes of a batch as numbers that a single matrix product adds up: most of the work.

    ``psi``: float32 [n, K·m], 1 where LF j votes k, in column k·m + j (the records of a class
    are written m at a time). ``failed``: bool [n, m], or None without a failure.
    ``marks``: float32 [3, n], 1; two LFs vote; two vote differently. Sums are exact up to 2²⁴.
    """

    psi: npt.NDArray[np.float32]
    failed: Mask | None
    marks: npt.NDArray[np.float32]
    totals: Mask
    lfs: int

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int) -> _Votes:
        n, m = outcomes.shape
        psi = np.empty((n, classes, m), dtype=np.float32)
        for k in range(classes):
            np.equal(outcomes, np.int8(k), out=psi[:, k], casting="unsafe")
        failed = outcomes == ERROR
        some_failed = failed.any(axis=1)
        per_class = _product(psi, np.ones(m, dtype=np.float32))  # [n, K]
        voted = _product(per_class, np.ones(classes, dtype=np.float32))
        overlapped = voted > 1
        conflicted = np.count_nonzero(per_class, axis=1) > 1
        covered = voted > 0
        totals = np.stack(
            [np.ones(n, np.bool_), covered, ~covered & ~some_failed, overlapped, conflicted]
        )
        return cls(
            psi.reshape(n, classes * m),
            failed if some_failed.any() else None,
            totals[[0, OVERLAPPED, CONFLICTED]].astype(np.float32),
            totals,
            m,
        )

    def gram(self) -> Ints:
        """Return ψᵀψ, int64 [mK, mK], in the columns of ``PaneCounts.gram``."""
        m, k = self.lfs, self.psi.shape[1] // max(self.lfs, 1)
        # Each entry counts the records on which both votes are cast: of the records (1, 1), (1, −)
        # and (0, 1), LF 0 votes 1 on two (its diagonal entry), and on one of those so does LF 1.
        by_class = np.rint(_product(self.psi.T, self.psi)).astype(np.int64).reshape(k, m, k, m)
        return np.asarray(by_class.transpose(1, 0, 3, 2).reshape(m * k, m * k))

    def count(self, rows: Ints | None) -> SegmentCounts:
        """Count the records in *rows*; all of them if None."""
        some = slice(None) if rows is None else rows
        psi, marks, m = self.psi[some], self.marks[:, some], self.lfs
        sums = np.rint(_product(marks, psi)).astype(np.int64).reshape(3, -1, m)  # [mark, class, LF]
        votes, (overlaps, conflicts) = sums[0], sums[1:].sum(axis=1)
        errors = (
            np.zeros(m, dtype=np.int64)
            if self.failed is None
            else self.failed[some].sum(axis=0, dtype=np.int64)
        )
        abstains = len(psi) - votes.sum(axis=0) - errors
        return SegmentCounts(
            np.count_nonzero(self.totals[:, some], axis=1).astype(np.int64),
            np.stack([*votes, abstains, errors], axis=1),
            overlaps,
            conflicts,
        )


def _product(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a @ b without the warning "invalid value encountered in matmul".

    Some builds of OpenBLAS raise the processor's flag for it even if every number is finite (ψᵀψ is
    a syrk: OpenBLAS#1924, numpy#24067). Here all are zeros, ones and their sums, since ψ is written
    in full before it is read. The cast of the sums to integers would still report a NaN.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(a @ b, dtype=np.float32)


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
        msg = "stored counts are truncated: restore the database or drop the pane"
        raise CountsError(msg) from error
    if magic != _MAGIC:
        msg = "stored counts were not written by tidegauge: restore the database or drop the pane"
        raise CountsError(msg)
    if version != _VERSION:
        msg = f"stored counts have version {version}, this tidegauge reads {_VERSION}: upgrade it"
        raise CountsError(msg)
    try:
        body = msgspec.msgpack.decode(zlib.decompress(encoded[_HEADER.size :]), type=_Body)
        side = _side(lfs, classes)
        gram_counts = np.frombuffer(body.gram, dtype="<i8").astype(np.int64).reshape(side, side)
        segments = {name: _unpack(packed, lfs, classes) for name, packed in body.segments}
        faults = {(probe, kind): (n, message) for probe, kind, n, message in body.faults}
        return PaneCounts(lfs, classes, segments, gram_counts, faults)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        msg = f"stored counts are broken ({error}): restore the database or drop the pane"
        raise CountsError(msg) from error
