"""Colours of charts, for light and for dark pages.

The diverging ranges run from blue over a neutral to orange: both ends differ in lightness from
the middle and in hue from each other for every common kind of colour blindness (ColorBrewer's
RdBu and PuOr, their ends combined).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ThemeName(StrEnum):
    """What the reader's system prefers."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one chart, as CSS hex values; the same as in ``static/page.css``."""

    ground: str
    ink: str
    faint: str
    no_data: str
    band: str
    line: str
    alarm: str
    diverging: tuple[str, str, str, str, str]
    """Far less than the baseline … equal … far more."""


THEMES: Final = {
    ThemeName.LIGHT: Theme(
        ground="#ffffff",
        ink="#1c2430",
        faint="#566070",
        no_data="#c3c8cf",
        band="#d5dbe3",
        line="#1f5fa8",
        alarm="#b3430a",
        diverging=("#08519c", "#6baed6", "#f4f4f1", "#fd9a4e", "#a63603"),
    ),
    ThemeName.DARK: Theme(
        ground="#171c23",
        ink="#e8ebef",
        faint="#a3adba",
        no_data="#565e69",
        band="#343d49",
        line="#7db8f2",
        alarm="#ff9d5c",
        diverging=("#8ecbff", "#3b7fc4", "#262d37", "#c4691c", "#ffb877"),
    ),
}
