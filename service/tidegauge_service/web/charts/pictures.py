"""Pictures on the page: where each is drawn, light and dark, and what it shows in words."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_probes.findings import SeriesKey, Verdict
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows.figures import HeatMap, SeriesFigure
from tidegauge_service.web import addresses
from tidegauge_service.web.charts.specs import deviation_of, distinct, is_shifted, shown_rows
from tidegauge_service.web.charts.themes import ThemeName
from tidegauge_service.web.words import band, count, moment, share, signed

_VERDICTS = {
    Verdict.OK: "as at baseline",
    Verdict.SHIFTED: "shifted",
    Verdict.BASELINE: "part of the baseline",
    Verdict.NO_DATA: "no data",
    Verdict.LOW_VOLUME: "too few to tell",
    Verdict.LEARNING: "as at baseline (short)",
    Verdict.WANDERS: "wanders",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart in two themes, and its text for those who do not see it."""

    light: str
    dark: str
    text: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """One LF in the last window."""

    name: str
    observed: str
    counted: str
    expected: str
    band: str
    deviation: str
    verdict: str
    shifted: bool


@dataclass(frozen=True, slots=True)
class MapView:
    """The heat map, the figures of its last window, and what is left out."""

    picture: Picture
    last_window: str
    rows: tuple[TableRow, ...]
    hidden: int


def map_view(stream: StreamRow, segment: str, windows: int, figures: HeatMap) -> MapView | None:
    """Return the heat map as the page shows it; None while there are no figures to draw."""
    if not any(cell for row in figures.cells for cell in row):
        return None
    shown = shown_rows(figures)
    return MapView(
        picture=Picture(
            addresses.heat_map(stream.name, segment, windows, ThemeName.LIGHT),
            addresses.heat_map(stream.name, segment, windows, ThemeName.DARK),
            _in_words(figures),
        ),
        last_window=moment(figures.starts[-1], stream.timezone),
        rows=tuple(
            _row(name, cells[-1])
            for name, cells in zip(distinct(figures.names, 100), figures.cells, strict=True)
        ),
        hidden=len(figures.names) - len(shown),
    )


def series_picture(stream: str, key: SeriesKey) -> Picture:
    """Return the picture of one series over the last windows."""
    return Picture(
        addresses.series(stream, key, addresses.WINDOWS, ThemeName.LIGHT),
        addresses.series(stream, key, addresses.WINDOWS, ThemeName.DARK),
        "Observed share by window, against the expected share and its 99 % band.",
    )


def _in_words(figures: HeatMap) -> str:
    cells = [cell for row in figures.cells for cell in row]
    size = f"{count(len(figures.names), 'row')} by {count(len(figures.starts), 'window')}"
    marked = sum(is_shifted(cell) for cell in cells)
    known = [d for cell in cells if (d := deviation_of(cell)) is not None]
    strongest = signed(max(known, key=abs)) if known else "unknown"
    return (
        f"Heat map of deviations from the baseline, {size}: {count(marked, 'shifted cell')}; "
        f"the largest deviation is {strongest}. The table below has the last window's figures."
    )


def _counted(figure: SeriesFigure) -> str:
    """Return x of n, and how many distinct texts that is if some are copies."""
    counted = f"{figure.x:,} of {figure.n:,}"
    if figure.n_texts is None or figure.n_texts == figure.n:
        return counted
    return f"{counted} ({figure.x_texts:,} of {figure.n_texts:,} texts)"


def _row(name: str, figure: SeriesFigure | None) -> TableRow:
    if figure is None:
        verdict = _VERDICTS[Verdict.NO_DATA]
        return TableRow(name, share(None), "0 of 0", "–", "–", "–", verdict, shifted=False)
    return TableRow(
        name=name,
        observed=share(figure.observed),
        counted=_counted(figure),
        expected=share(figure.expected),
        band=band(figure.low, figure.high),
        deviation=signed(deviation_of(figure)),
        verdict=_VERDICTS[Verdict(figure.verdict)],
        shifted=is_shifted(figure),
    )
