"""Figures of series and windows, as charts draw them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeriesFigure:
    """One series in one window; ``None`` where there is nothing to say."""

    series: str
    segment: str
    probe: str
    other: str
    label: str
    x: int
    n: int
    expected: float | None
    low: float | None
    high: float | None
    effect: float | None
    p_value: float | None
    n_eff: float | None
    rank: float | None
    verdict: str
    x_texts: int | None = None
    n_texts: int | None = None
    """The distinct texts that were compared; None where records were."""

    @property
    def observed(self) -> float | None:
        """The share x of n."""
        return self.x / self.n if self.n else None

    @property
    def deviation(self) -> float | None:
        """Standardised deviation from the baseline: signed root of 2·n_eff·KL, about a z-score."""
        if self.rank is None:
            return None
        return float(abs(self.rank) ** 0.5 * (1 if self.rank > 0 else -1))


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Deviation from the baseline, series × window; ``None`` where there is no figure."""

    starts: tuple[int, ...]
    names: tuple[str, ...]
    """The blind spot first, then the LFs' coverages, in the ProbeSet's order."""
    cells: tuple[tuple[SeriesFigure | None, ...], ...]
    """One row per name, one cell per window."""


BLIND_SPOT_ROW = "(blind spot)"
"""The label of the heat map's first row."""
