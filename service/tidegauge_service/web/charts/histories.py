"""One series over windows, from the store; and many windows as few columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegauge_probes.findings import SeriesKey
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import queries
from tidegauge_service.store.windows.figures import HeatMap, SeriesFigure
from tidegauge_service.web.charts.specs import History, deviation_of, is_shifted


def history(connection: Connection, row: StreamRow, key: SeriesKey, windows: int) -> History:
    """Read one series over the last windows, oldest first."""
    found = queries.window_page(
        connection,
        row,
        series=key.series,
        segment=key.segment,
        probe=key.probe,
        limit=windows,
        newest_first=True,
    )

    def same(figure: SeriesFigure) -> bool:
        return (figure.other, figure.label) == (key.other, key.label)

    figures = [next(filter(same, window.series), None) for window in reversed(found)]
    return History(tuple(w.start_ms for w in reversed(found)), tuple(figures))


def group_size(windows: int, most: int) -> int:
    """Return how many windows a column stands for, so that there are at most *most* columns."""
    return max(1, math.ceil(windows / most))


def fewer_columns(figures: HeatMap, size: int) -> HeatMap:
    """Return a heat map whose columns stand for *size* windows each: the most deviating one."""
    cells = tuple(tuple(_each_strongest(row, size)) for row in figures.cells)
    return HeatMap(figures.starts[::size], figures.names, cells)


def fewer_points(found: History, size: int) -> History:
    """Return a history whose points stand for *size* windows each: the most deviating one."""
    return History(found.starts[::size], tuple(_each_strongest(found.figures, size)))


def _each_strongest(figures: Sequence[SeriesFigure | None], size: int) -> list[SeriesFigure | None]:
    groups = (figures[at : at + size] for at in range(0, len(figures), size))
    return [max(group, key=_strength) for group in groups]


def _strength(figure: SeriesFigure | None) -> tuple[bool, bool, float]:
    return figure is not None, is_shifted(figure), abs(deviation_of(figure) or 0.0)
