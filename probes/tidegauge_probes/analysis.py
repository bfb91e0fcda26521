"""Coverage, overlaps, conflicts, polarity: the numbers of Snorkel's ``LFAnalysis``, from counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidegauge_probes.counts import CONFLICTED, COVERED, OVERLAPPED, PaneCounts, SegmentCounts

Floats = npt.NDArray[np.float64]


def _share(counts: npt.NDArray[np.int64], records: int) -> Floats:
    """Return counts / records, NaN where there are no records."""
    if not records:
        return np.full(len(counts), np.nan)
    return counts / records


def label_coverage(counts: PaneCounts) -> float:
    """Share of records with at least one vote; NaN without records."""
    return float(_share(counts.all.totals, counts.records)[COVERED])


def label_overlap(counts: PaneCounts) -> float:
    """Share of records with at least two votes; NaN without records."""
    return float(_share(counts.all.totals, counts.records)[OVERLAPPED])


def label_conflict(counts: PaneCounts) -> float:
    """Share of records with two different votes; NaN without records."""
    return float(_share(counts.all.totals, counts.records)[CONFLICTED])


def polarities(counts: SegmentCounts) -> list[list[int]]:
    """Classes each LF voted for, in order."""
    return [[int(k) for k in np.flatnonzero(row)] for row in counts.outcomes[:, :-2]]


def lf_coverages(counts: PaneCounts) -> Floats:
    """Share of records each LF votes on, float64 [m]."""
    return _share(counts.all.votes, counts.records)


def lf_overlaps(counts: PaneCounts) -> Floats:
    """Share of records each LF votes on together with another LF, float64 [m]."""
    return _share(counts.all.overlaps, counts.records)


def lf_conflicts(counts: PaneCounts) -> Floats:
    """Share of records each LF votes on against another LF, float64 [m]."""
    return _share(counts.all.conflicts, counts.records)


def lf_summary(counts: PaneCounts, names: tuple[str, ...]) -> pd.DataFrame:
    """Return Snorkel's ``lf_summary`` (without gold labels), plus the error share of each LF."""
    return pd.DataFrame(
        {
            "j": range(counts.lfs),
            "Polarity": polarities(counts.all),
            "Coverage": lf_coverages(counts),
            "Overlaps": lf_overlaps(counts),
            "Conflicts": lf_conflicts(counts),
            "Errors": _share(counts.all.errors, counts.records),
        },
        index=list(names),
    )
