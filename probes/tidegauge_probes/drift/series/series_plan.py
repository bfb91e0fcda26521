"""From counts to series: x of n for every quantity that the detector follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import BLIND, COVERED, RECORDS, PaneCounts, SegmentCounts
from tidegauge_probes.drift.series import record_series
from tidegauge_probes.drift.series.distinct import tells_copies
from tidegauge_probes.drift.series.pairs import Pairs, contestable, informative, pair_counts
from tidegauge_probes.findings import ALL, OTHER, SeriesKey, SeriesKind
from tidegauge_probes.model import Layout

Ints = npt.NDArray[np.int64]

MAX_SEGMENTS = 20
"""Values of a segment field that are followed separately; the others form ``field=_other``."""


class DerivedSeries(Protocol):
    """Series that no single LF shows (``label_model.consensus``)."""

    def keys(self, layout: Layout, segments: Sequence[str]) -> list[SeriesKey]:
        """Name the series, in the order of ``extract``."""

    def extract(self, counts: PaneCounts, segments: Sequence[SegmentCounts]) -> tuple[Ints, Ints]:
        """Return x and n of each series, int64 [S] each."""


@dataclass(frozen=True)
class SeriesPlan:
    """Which series to follow: fixed with the baseline, so that every window has the same ones.

    ``pairs``: LFs that vote together, the one that is rarer at baseline first; ``agreements``:
    those of them whose agreement is followed, too.
    """

    layout: Layout
    segments: tuple[str, ...]
    pairs: Pairs
    consensus: DerivedSeries | None = None
    """None unless a label model knows the class shares."""
    agreements: Pairs = ()
    volume: bool = False
    """Whether the volume is followed: not without times, nor of training data."""
    copies: bool = False
    """Whether copies are told from other records, and distinct texts compared."""

    def keys(self) -> tuple[SeriesKey, ...]:
        """Name the series, in the order of ``extract``."""
        keys = [key for segment in self.segments for key in self._segment_keys(segment)]
        keys += record_series.keys(self.segments, volume=self.volume)
        names = self.layout.probes
        keys += [SeriesKey(SeriesKind.CO_VOTE, ALL, names[i], names[j]) for i, j in self.pairs]
        # Agreement is of both alike, so it keeps its name when another of the two is rarer.
        both = [sorted(pair) for pair in self.agreements]
        keys += [SeriesKey(SeriesKind.AGREEMENT, ALL, names[i], names[j]) for i, j in both]
        if self.copies:
            keys.append(SeriesKey(SeriesKind.COPIES))
        if self.consensus is not None:
            keys += self.consensus.keys(self.layout, self.segments)
        return tuple(keys)

    def _segment_keys(self, segment: str) -> list[SeriesKey]:
        names = self.layout.probes
        kinds = (SeriesKind.COVERAGE, SeriesKind.OVERLAP, SeriesKind.CONFLICT, SeriesKind.ERROR)
        keys = [SeriesKey(SeriesKind.BLIND_SPOT, segment)]
        keys += [SeriesKey(kind, segment, name) for kind in kinds for name in names]
        keys += [
            SeriesKey(SeriesKind.POLARITY, segment, names[j], label=self.layout.classes[k])
            for j, k in _polar(self.layout)
        ]
        return keys

    def extract(self, counts: PaneCounts, *, whole: bool = True) -> tuple[Ints, Ints]:
        """Return x and n of each series, int64 [S] each.

        *whole*: whether these are all records of one window, so that they have a volume.
        """
        segments = fold_segments(counts.segments, self.segments)
        nothing = _nothing(counts)
        ordered = [segments.get(s, nothing) for s in self.segments]
        columns = [_of_segment(segment, self.layout) for segment in ordered]
        of_records = record_series.extract(
            counts.records, self.segments, ordered, volume=self.volume, whole=whole
        )
        columns += [of_records, self._of_pairs(counts)]
        if self.copies:
            columns.append(_of_copies(counts))
        if self.consensus is not None:
            columns.append(self.consensus.extract(counts, ordered))
        return (
            np.concatenate([x for x, _ in columns]),
            np.concatenate([n for _, n in columns]),
        )

    def _of_pairs(self, counts: PaneCounts) -> tuple[Ints, Ints]:
        if not self.pairs:
            none = np.empty(0, dtype=np.int64)
            return none, none
        together, agreeing = pair_counts(counts)
        rarer, commoner = _columns(self.pairs)
        one, other = _columns(self.agreements)
        x = np.concatenate([together[rarer, commoner], agreeing[one, other]])
        return x, np.concatenate([together[rarer, rarer], together[one, other]])


def _columns(pairs: Pairs) -> Ints:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def plan(
    layout: Layout,
    counts: PaneCounts,
    always: Sequence[str] = (),
    consensus: DerivedSeries | None = None,
    *,
    windows: int = 0,
    volume: bool = False,
) -> SeriesPlan:
    """Choose which series to follow from the baseline's counts; the label model's are given.

    *always* names segments (slicing functions) that are kept however small they are. *windows*:
    how many windows with records were counted; 0 if the records have no times.
    """
    kept = [name for field in _fields(counts, always) for name in _largest(counts, field)]
    segments = (ALL, *sorted(always), *kept)
    pairs = informative(counts, windows)
    told = contestable(pairs, counts, layout, windows)
    copies = tells_copies(counts)
    return SeriesPlan(layout, segments, pairs, consensus, told, volume, copies)


def other(name: str) -> str:
    """Return the segment for values of *name*'s field beyond the limit."""
    return f"{name.partition('=')[0]}={OTHER}"


def _fields(counts: PaneCounts, always: Sequence[str]) -> list[str]:
    names = {name.partition("=")[0] for name in counts.segments if name not in {ALL, *always}}
    return sorted(names)


def _largest(counts: PaneCounts, field: str) -> list[str]:
    """Return the values of *field* to follow, and its ``_other``."""
    rest = f"{field}={OTHER}"
    values = [s for s in counts.segments if s.startswith(f"{field}=") and s != rest]
    values.sort(key=lambda name: (-int(counts.segments[name].totals[RECORDS]), name))
    return [*sorted(values[:MAX_SEGMENTS]), rest]


def fold_segments(
    segments: Mapping[str, SegmentCounts], kept: Sequence[str]
) -> dict[str, SegmentCounts]:
    """Add the segments that are not *kept* to their field's ``_other``."""
    folded: dict[str, SegmentCounts] = {}
    for name, counts in segments.items():
        target = name if name in kept else other(name)
        folded[target] = folded[target] + counts if target in folded else counts
    return folded


def _polar(layout: Layout) -> list[tuple[int, int]]:
    """(LF, class) pairs whose share can move; with two classes, one is enough."""
    return [
        (j, k)
        for j, labels in enumerate(layout.labels)
        if len(labels) > 1
        for k in (labels[1:] if len(labels) == 2 else labels)  # noqa: PLR2004
    ]


def _of_segment(counts: SegmentCounts, layout: Layout) -> tuple[Ints, Ints]:
    m = len(layout.probes)
    votes, errors, records = counts.votes, counts.errors, int(counts.totals[RECORDS])
    known = int(counts.totals[COVERED] + counts.totals[BLIND])
    polar = np.array(_polar(layout), dtype=np.int64).reshape(-1, 2)
    everywhere = np.full(m, records, dtype=np.int64)
    x = [counts.totals[[BLIND]], votes, counts.overlaps, counts.conflicts, errors]
    n = [np.array([known]), everywhere - errors, votes, votes, everywhere]
    x.append(counts.outcomes[polar[:, 0], polar[:, 1]])
    n.append(votes[polar[:, 0]])
    return np.concatenate(x).astype(np.int64), np.concatenate(n).astype(np.int64)


def _of_copies(counts: PaneCounts) -> tuple[Ints, Ints]:
    distinct = counts.distinct
    found = (0, 0) if distinct is None else (distinct.copies, distinct.records)
    x, n = np.array(found, dtype=np.int64)
    return x[None], n[None]


def _nothing(counts: PaneCounts) -> SegmentCounts:
    m, k = counts.lfs, counts.classes
    zeros = np.zeros(m, dtype=np.int64)
    return SegmentCounts(np.zeros(5, np.int64), np.zeros((m, k + 2), np.int64), zeros, zeros)
