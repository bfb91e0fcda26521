"""What metrics are measured of: a stream, its partitions, alerts, LFs …, each with its labels.

``None`` means no data: the sample is left out. It is never shown as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from tidegauge_alerts.model import Alert
from tidegauge_probes.findings import ALL, BlindCause, SeriesKind
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.metrics.snapshot import StreamFigures
from tidegauge_service.store.streams import PartitionRow
from tidegauge_service.store.windows.figures import SeriesFigure
from tidegauge_service.store.windows.precision import LfPrecision
from tidegauge_service.store.windows.queries import StreamSummary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One thing that is measured: its labels (after the stream's) and what it is read from.

    ``segment`` decides what the cap drops first; empty where there is none.
    """

    labels: tuple[str, ...]
    value: T
    segment: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Subject(Generic[T]):
    """A kind of things in a stream that have the same metrics, with the names of their labels."""

    labels: tuple[str, ...]
    of: Callable[[StreamFigures], Iterator[Item[T]]]


Kinds = Mapping[str, SeriesFigure]
"""Series kind → figure, of one LF or of all, in one segment."""


def _stream(s: StreamFigures) -> Iterator[Item[StreamFigures]]:
    yield Item((), s)


def _partitions(s: StreamFigures) -> Iterator[Item[PartitionRow]]:
    for row in s.summary.counted:
        # The rules take the lowest watermark: one that holds no window back must not be it.
        holds = row in s.summary.holding
        yield Item((str(row.partition),), row if holds else replace(row, watermark_ms=None))


def _tally(
    tally: Callable[[StreamSummary], Mapping[str, int]],
) -> Callable[[StreamFigures], Iterator[Item[int]]]:
    def items(s: StreamFigures) -> Iterator[Item[int]]:
        for key, count in tally(s.summary).items():
            yield Item((key,), count)

    return items


def _blind(summary: StreamSummary) -> Mapping[str, int]:
    """Return cause → how many things the stream cannot see for it; none while that is unknown."""
    found = summary.blind
    if found is None:
        return {}
    return {str(cause): sum(one.cause == cause for one in found) for cause in BlindCause}


def _quarantined(s: StreamFigures) -> Iterator[Item[int]]:
    for one in s.summary.quarantined:
        yield Item((one.probe,), 1)


def _alerts(s: StreamFigures) -> Iterator[Item[int]]:
    for labels, count in sorted(s.summary.alerts.items()):
        yield Item(labels, count)


def _firing(s: StreamFigures) -> Iterator[Item[Alert]]:
    for a in s.firing:
        key = a.key
        series = (str(key.series), key.probe, key.other, key.label, key.segment)
        yield Item((*series, str(a.severity), str(a.kind), a.rule), a)


def _grouped(s: StreamFigures) -> Mapping[tuple[str, str], Kinds]:
    """Return (LF, segment) → series kind → figure; pairs and polarities are not exported."""
    found: dict[tuple[str, str], dict[str, SeriesFigure]] = {}
    for figure in s.summary.last_window.series if s.summary.last_window else ():
        if not figure.other and not figure.label:
            found.setdefault((figure.probe, figure.segment), {})[figure.series] = figure
    return found


def _segments(s: StreamFigures) -> Iterator[Item[SeriesFigure]]:
    for (probe, segment), kinds in _grouped(s).items():
        if not probe and SeriesKind.BLIND_SPOT in kinds:
            yield Item((segment,), kinds[SeriesKind.BLIND_SPOT], segment)


def _volume(s: StreamFigures) -> Iterator[Item[SeriesFigure]]:
    kinds = _grouped(s).get(("", ALL), {})
    if SeriesKind.VOLUME in kinds:
        yield Item((), kinds[SeriesKind.VOLUME], ALL)


def _shares(s: StreamFigures) -> Iterator[Item[SeriesFigure]]:
    for (probe, segment), kinds in _grouped(s).items():
        if not probe and SeriesKind.SEGMENT_SHARE in kinds:
            yield Item((segment,), kinds[SeriesKind.SEGMENT_SHARE], segment)


def _lfs(s: StreamFigures) -> Iterator[Item[Kinds]]:
    for (probe, segment), kinds in _grouped(s).items():
        if probe:
            yield Item((probe, segment), kinds, segment)


def _votes(s: StreamFigures) -> Iterator[Item[LfPrecision]]:
    for lf in s.precision.lfs if s.precision else ():
        yield Item((lf.probe, lf.label), lf, ALL)


def _classes(s: StreamFigures) -> Iterator[Item[float | None]]:
    for share in s.precision.shares if s.precision else ():
        yield Item((share.label,), share.share, ALL)


def _accuracy(s: StreamFigures) -> Iterator[Item[Accuracy]]:
    if s.precision is not None and s.precision.accuracy is not None:
        yield Item((), s.precision.accuracy, ALL)


STREAM: Final = Subject(("stream",), _stream)
PARTITION: Final = Subject(("stream", "partition"), _partitions)
DEAD_LETTERS: Final = Subject(("stream", "reason"), _tally(lambda s: s.dead_letters))
BLIND: Final = Subject(("stream", "reason"), _tally(_blind))
CANDIDATES: Final = Subject(("stream", "state"), _tally(lambda s: s.candidates))
MESSAGES: Final = Subject(("stream", "state"), _tally(lambda s: s.notifications))
REMOVED: Final = Subject(("stream", "table"), _tally(lambda s: s.removed))
QUARANTINE: Final = Subject(("stream", "probe"), _quarantined)
ALERTS: Final = Subject(("stream", "state", "severity", "kind"), _alerts)
FIRING: Final = Subject(
    ("stream", "series", "probe", "other", "label", "segment", "severity", "kind", "rule"), _firing
)
SEGMENT: Final = Subject(("stream", "segment"), _segments)
VOLUME: Final = Subject(("stream",), _volume)
SHARE: Final = Subject(("stream", "segment"), _shares)
LF: Final = Subject(("stream", "probe", "segment"), _lfs)
VOTE: Final = Subject(("stream", "probe", "label"), _votes)
CLASS: Final = Subject(("stream", "label"), _classes)
MODEL: Final = Subject(("stream",), _accuracy)

SUBJECTS: Final[tuple[Subject[Any], ...]] = (
    STREAM,
    PARTITION,
    DEAD_LETTERS,
    BLIND,
    CANDIDATES,
    MESSAGES,
    REMOVED,
    QUARANTINE,
    ALERTS,
    FIRING,
    VOLUME,
    SEGMENT,
    SHARE,
    LF,
    VOTE,
    CLASS,
    MODEL,
)
"""What is dropped last comes first (``exposition.capped``)."""
