"""What comparing a window needs of the windows before it, kept from one window to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.findings import Finding, SeriesKey
from tidegauge_probes.label_model.precision import MOST_WINDOWS, PairCounts
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.store.deployments import Deployment

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WindowHistory:
    """The windows before ``until``, as they are compared with one deployment's baseline."""

    deployment: Deployment
    until: int
    baseline: Baseline
    series_ids: Mapping[SeriesKey, int]
    past: Past
    """The series' sums over windows of several lengths, for the scan."""
    recent: tuple[PairCounts, ...]
    """The windows that a small one is added up with, the newest first; empty without a model."""

    def of_deployment(self, deployment: Deployment) -> bool:
        """Whether its baseline is the one that the deployment is compared with."""
        return self.deployment == deployment

    def precedes(self, window: ClosedWindow) -> bool:
        """Whether it ends where the window begins, with the same deployment."""
        return self.of_deployment(window.deployment) and self.until == window.start

    def with_window(self, window: ClosedWindow) -> WindowHistory:
        """Add a window to the recent ones, if the baseline has a label model."""
        if self.baseline.model is None:
            return self
        recent = (PairCounts.of(window.counts), *self.recent)[:MOST_WINDOWS]
        return replace(self, recent=recent)

    def through(
        self, window: ClosedWindow, x: Ints, n: Ints, resolved: Collection[SeriesKey]
    ) -> WindowHistory:
        """Return the history of the next window. *resolved*: series whose alerts have resolved.

        *x*, *n*: int64 [S], the window's counts of each series.
        """
        past = self.past.then(window.start, x, n)
        past = past.since_resolved(window.start, [key in resolved for key in self.baseline.keys])
        return replace(self, until=window.until, past=past)


@dataclass(frozen=True, eq=False)
class ComparedWindow:
    """A window, its findings, and the history they were found against.

    ``x``, ``n``: int64 [S], the counts of each series as they are compared; the history's recent
    windows include it.
    """

    window: ClosedWindow
    history: WindowHistory
    findings: Mapping[SeriesKey, Finding]
    x: Ints
    n: Ints
