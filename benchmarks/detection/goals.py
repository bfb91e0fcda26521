"""The figures to reach: % found within 24 windows and mean delay, from the scan's simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.detection.traffic import SHIFTS


@dataclass(frozen=True)
class Goal:
    """Percent found and mean delay in windows; None where there is nothing to reach."""

    found: float | None = None
    delay: float | None = None

    @property
    def text(self) -> str:
        """The goal as it stands in the tables."""
        found = "–" if self.found is None else f"{self.found:g}"
        return f"{found} / {'–' if self.delay is None else f'{self.delay:g}'}"


def is_met(cell: Mapping[str, Any], goal: Goal) -> bool:
    """Tell whether a cell's figures reach the goal, two standard errors allowed."""
    share = float(cell["found"])
    spread = 100 * (max(share * (1 - share), 0.01) / cell["runs"]) ** 0.5
    found = goal.found is None or 100 * share >= goal.found - 2 * spread
    slack = 2 * float(cell["se"]) + 0.05 * (goal.delay or 0.0)
    return found and (goal.delay is None or cell["mean_delay"] <= goal.delay + slack)


def _row(text: str) -> dict[str, Goal]:
    return dict(zip(SHIFTS, (_goal(part) for part in text.split()), strict=True))


def _goal(text: str) -> Goal:
    if text == "–":
        return Goal()
    found, _, delay = text.partition("/")
    return Goal(None if found == "–" else float(found), float(delay))


FOUND: Final[Mapping[str, Mapping[str, Goal]]] = {
    # +25 %, +50 %, +100 %, −50 %, dead, ramp
    "200, .5 %": _row("– – 37/31 – 100/15 –"),
    "200, 5 %": _row("17/42 98/13 100/3.5 100/9.3 100/2.0 –/45"),
    "200, 30 %": _row("100/9.2 100/2.7 100/1.1 100/2.3 100/1 33/25"),
    "1,000, .5 %": _row("7/49 62/22 100/6.5 77/19 100/3.8 –/53"),
    "1,000, 5 %": _row("90/14 100/4.0 100/1.3 100/2.8 100/1 28/26"),
    "1,000, 30 %": _row("100/5.3 100/1.7 100/1 100/1.4 100/1 90/21"),
    "10,000, .5 %": _row("97/14 100/3.7 100/1.4 100/2.9 100/1 30/26"),
    "10,000, 5 %": _row("100/5.7 100/1.7 100/1 100/1.4 100/1 90/20"),
    "10,000, 30 %": _row("100/4.4 100/1.6 100/1 100/1.1 100/1 97/17"),
}

OTHER: Final[Mapping[str, float | None]] = {
    "agreement, overlap 9.00%, 200": None,
    "agreement, overlap 1.50%, 200": None,
    "agreement, overlap 0.25%, 200": None,
    "blind spot, 200": 34,
    "agreement, overlap 9.00%, 1,000": 2.0,
    "agreement, overlap 1.50%, 1,000": 8.9,
    "agreement, overlap 0.25%, 1,000": 54,
    "blind spot, 1,000": 11.5,
    "agreement, overlap 9.00%, 10,000": 1.0,
    "agreement, overlap 1.50%, 10,000": 1.5,
    "agreement, overlap 0.25%, 10,000": 5.7,
    "blind spot, 10,000": 7.3,
}
"""Mean delays."""
