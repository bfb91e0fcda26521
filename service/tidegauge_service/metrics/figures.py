"""One snapshot of the shared state as plain values: what /metrics shows.

``None`` means no data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge_probes.label_model.accuracy import Accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFigures:
    """One LF in one segment, in the last evaluated window. Shares, 0…1."""

    probe: str
    segment: str
    coverage: float | None = None
    coverage_expected: float | None = None
    coverage_low: float | None = None
    coverage_high: float | None = None
    overlap: float | None = None
    conflict: float | None = None
    agreement: float | None = None
    """1 − conflicts ÷ overlaps."""
    error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFigures:
    """One segment in the last evaluated window. Shares, 0…1."""

    segment: str
    records: int
    blind_spot: float | None = None
    blind_spot_expected: float | None = None
    blind_spot_low: float | None = None
    blind_spot_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFigures:
    """How far one partition has been read. Totals never fall."""

    partition: int
    next_offset: int
    end_offset: int | None
    watermark_ms: int | None
    records_total: int
    late_total: int
    tombstones_total: int = 0
    end_ms: int | None = None
    """When ``end_offset`` was asked for; the lag is as of then."""

    @property
    def lag(self) -> int | None:
        """Records in the source that are not counted yet.

        Never below 0: the end may have been asked for before the last records were counted.
        """
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFigures:
    """How many alerts are in a state."""

    state: str
    severity: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringAlert:
    """One firing alert. ``effect`` is the odds ratio of observed to expected."""

    series: str
    probe: str
    other: str
    segment: str
    severity: str
    kind: str
    effect: float | None
    since_ms: int
    label: str = ""
    """The class of a polarity: without it, the polarities of one LF are one series."""
    rule: str = ""
    """The rule that somebody wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionFigures:
    """How often an LF's votes for a class are right, in the last windows. Shares, 0…1."""

    probe: str
    label: str
    precision: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """One stream. Event times are epoch milliseconds; ``evaluated_ms`` is by the wall clock."""

    stream: str
    window_end_ms: int | None
    window_ms: int
    windows_total: int
    learning: bool
    skewed: int | None = None
    """Series in which training data and live traffic differ; None if that was not tested."""
    predicted_false_incidents: float | None = None
    """In the windows compared with the baseline in use; None while it is learning."""
    incidents: int | None = None
    """That opened in those windows, right or wrong."""
    probes: Sequence[ProbeFigures] = ()
    segments: Sequence[SegmentFigures] = ()
    precision: Sequence[PrecisionFigures] = ()
    class_shares: Mapping[str, float] = field(default_factory=dict)
    """Class → share of the records, as far as it is known."""
    accuracy: Accuracy | None = None
    """Of the deployed model."""
    partitions: Sequence[PartitionFigures] = ()
    dead_letters: Mapping[str, int]
    """Reason → how many."""
    alerts: Sequence[AlertFigures] = ()
    firing: Sequence[FiringAlert] = ()
    candidates: Mapping[str, int]
    """State → how many."""
    notifications: Mapping[str, int]
    """State → how many."""
    quarantined: Sequence[str] = ()
    """LFs that are not called any more, because they did not come back."""
    evaluated_ms: int | None = None
    """When the last window was evaluated. A replay of old records has an old ``window_end_ms``;
    only this tells whether the stream stands still."""
    rows_removed: Mapping[str, int] = field(default_factory=dict)
    """Table → how many, by retention."""
    lost_inputs: int = 0
    """Inputs that were never read and cannot be any more."""
    mostly_late: bool = False
    """Whether most of the last records came too late."""
    blind: Mapping[str, int] | None = None
    """Cause → how many things the stream cannot see for it; None while that is not known."""
    held: int = 0
    """Partitions that nothing is read of until somebody accepts their gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The shared state of all streams at one moment."""

    streams: Sequence[StreamFigures]
    taken_at_ms: int
