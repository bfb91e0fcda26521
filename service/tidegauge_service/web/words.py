"""How the page says figures: plain English, sensible digits, times by the stream's clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tidegauge_alerts.messages.phrases import MAX_SEGMENT, clean, percent
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_probes.findings import ALL
from tidegauge_service.clock import in_zone, to_iso

NOTHING: Final = "–"
ALL_RECORDS: Final = "all records"
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere."""

    text: str
    href: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what is known of it."""

    name: str
    value: str
    href: str = ""


def share(value: float | None) -> str:
    """Return a share (0…1) as a percentage.

    >>> share(0.348), share(None)
    ('34.8 %', '–')
    """
    return NOTHING if not _known(value) else f"{percent(value)} %"  # type: ignore[arg-type]


def band(low: float | None, high: float | None) -> str:
    """Return a range of shares: ``5–11 %``."""
    if low is None or high is None or not (_known(low) and _known(high)):
        return NOTHING
    return f"{percent(low)}–{percent(high)} %"


def signed(value: float | None) -> str:
    """Return a deviation with its sign: ``+4.2``, ``−7.0``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:+.1f}".replace("-", "−") if round(value, 1) else "0.0"


def odds(value: float | None) -> str:
    """Return an odds ratio: ``×3.2``; below one, ``÷``, which reads as large as it is."""
    if value is None or not math.isfinite(value) or value <= 0:
        return NOTHING
    return f"×{value:.3g}" if value >= 1 else f"÷{1 / value:.3g}"


def chance(p_value: float | None) -> str:
    """Return a probability, not more exact than it can be."""
    if p_value is None or not math.isfinite(p_value):
        return NOTHING
    return "below 1e-12" if p_value < 1e-12 else f"{p_value:.1g}"  # noqa: PLR2004


def moment(ms: int | None, zone: str = UTC) -> str:
    """Return a time in ISO-8601; by a clock other than UTC with the offset.

    >>> moment(1_774_746_000_000), moment(1_774_746_000_000, "Europe/Berlin")
    ('2026-03-29T01:00:00Z', '2026-03-29T03:00:00+02:00')
    """
    if ms is None or zone == UTC:
        return to_iso(ms) or NOTHING
    whole = "milliseconds" if ms % 1000 else "seconds"
    return in_zone(ms, zone).isoformat(timespec=whole)


def duration(ms: int) -> str:
    """Return a length of time in its largest whole unit.

    >>> duration(600_000), duration(5_400_000), duration(0)
    ('10 min', '90 min', '0 s')
    """
    if not ms:
        return "0 s"
    size, unit = next((size, unit) for size, unit in _UNITS if ms % size == 0)
    return f"{ms // size} {unit}"


def count(number: int, one: str = "", many: str = "") -> str:
    """Return a number with its noun: ``1 alert``, ``1,200 alerts``."""
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:,} {noun}" if one else f"{number:,}"


def place(segment: str) -> str:
    """Return a segment's name as it may be shown."""
    return ALL_RECORDS if segment == ALL else clean(segment, MAX_SEGMENT)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
