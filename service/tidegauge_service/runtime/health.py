"""What is wrong right now, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from tidegauge_probes.errors import TidegaugeError

log = structlog.get_logger()

RECEIVER = "receiver:"
"""Prefix of receivers' parts: their trouble is only a warning, and tidegauge itself stays ready."""


@dataclass
class Health:
    """What is wrong right now, by part; empty when all is well. Any thread may report."""

    changed: Callable[[str, str | None], None] | None = None
    """Called with the part and its problem at each change, in the thread that reports it."""
    problems: dict[str, str] = field(default_factory=dict)
    fatal: TidegaugeError | None = None
    _since_s: dict[str, float] = field(default_factory=dict)

    def report(self, part: str, problem: str | None) -> None:
        """Note or clear a problem: one line of the log when it comes, one when it goes."""
        before = self.problems.get(part)
        if problem == before:
            return
        if problem is None:
            self.problems.pop(part, None)
            lasted = time.monotonic() - self._since_s.pop(part)
            log.info("well_again", part=part, seconds=round(lasted, 1))
        else:
            self.problems[part] = problem
            if before is None:
                self._since_s[part] = time.monotonic()
                log.warning("in_trouble", part=part, problem=problem)
        if self.changed is not None:
            self.changed(part, problem)

    def first(self) -> str | None:
        """Return one problem, for /readyz; what is wrong with a receiver is none."""
        return next((text for part, text in self._texts() if RECEIVER not in part), None)

    def warnings(self) -> list[str]:
        """Return what is wrong with receivers."""
        return [text for part, text in self._texts() if RECEIVER in part]

    def _texts(self) -> list[tuple[str, str]]:
        # A copy: other threads report meanwhile.
        return [(part, f"{part}: {what}") for part, what in sorted(dict(self.problems).items())]
