"""Coverage, overlaps, conflicts, polarity: the numbers of Snorkel's ``LFAnalysis``, from counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import gold
from tidegauge_probes.counts.panes import CONFLICTED, COVERED, OVERLAPPED, PaneCounts, SegmentCounts
from tidegauge_probes.lazy import LazyModule

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = LazyModule("pandas", extra="analysis")

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
    """The classes that each LF voted for, in order."""
    return [[int(k) for k in np.flatnonzero(row)] for row in counts.outcomes[:, :-2]]


def lf_coverages(counts: PaneCounts) -> Floats:
    """Share of the records that each LF votes on, float64 [m]."""
    return _share(counts.all.votes, counts.records)


def lf_overlaps(counts: PaneCounts, *, normalize_by_coverage: bool = False) -> Floats:
    """Share of the records that each LF votes on together with another LF, float64 [m].

    Normalized, it is the share of the LF's own votes; NaN where it has none (Snorkel: 0).
    """
    if normalize_by_coverage:
        return _of(counts.all.overlaps, counts.all.votes)
    return _share(counts.all.overlaps, counts.records)


def lf_conflicts(counts: PaneCounts, *, normalize_by_overlaps: bool = False) -> Floats:
    """Share of the records where each LF votes against another LF, float64 [m].

    Normalized, it is the share of the LF's overlaps; NaN where it has none (Snorkel: 0).
    """
    if normalize_by_overlaps:
        return _of(counts.all.conflicts, counts.all.overlaps)
    return _share(counts.all.conflicts, counts.records)


def lf_errors(counts: PaneCounts) -> Floats:
    """Share of the records that each LF fails on, float64 [m]; NaN without records."""
    return _share(counts.all.errors, counts.records)


def _of(counts: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Floats:
    out = np.full(len(counts), np.nan)
    return np.asarray(np.divide(counts, whole, out=out, where=whole > 0))


def lf_summary(
    counts: PaneCounts, names: tuple[str, ...], against: gold.Ints | None = None
) -> pd.DataFrame:
    """Return Snorkel's ``lf_summary``, plus the error share of each LF.

    *against*: ``gold.confusions`` of records with gold labels, for the last three columns.
    MissingExtraError without pandas.
    """
    columns = {
        "j": range(counts.lfs),
        "Polarity": polarities(counts.all),
        "Coverage": lf_coverages(counts),
        "Overlaps": lf_overlaps(counts),
        "Conflicts": lf_conflicts(counts),
        "Errors": lf_errors(counts),
    }
    if against is not None:
        columns |= {
            "Correct": gold.correct(against),
            "Incorrect": gold.incorrect(against),
            "Emp. Acc.": gold.empirical_accuracies(against),
        }
    return pd.DataFrame(columns, index=list(names))
