"""Read from the database what comparing a window needs of the windows before it.

That is when another process has evaluated in between, or the deployment has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts import panes
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.findings import SeriesKey
from tidegauge_probes.label_model.precision import MOST_WINDOWS, PairCounts
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.jobs.evaluation.window_history import WindowHistory
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.windows import evaluation
from tidegauge_service.store.windows.counts import counts_between

Ints = npt.NDArray[np.int64]


def load(
    connection: Connection,
    window: ClosedWindow,
    baseline: Baseline,
    series_ids: Mapping[SeriesKey, int] | None = None,
) -> WindowHistory:
    """Read what comes before a window from the database."""
    if series_ids is None:
        series_ids = evaluation.series_ids(connection, window.stream, baseline.keys)
    past = evaluation.before(connection, window.stream, window.start, baseline)
    recent = _recent(connection, window, baseline)
    return WindowHistory(window.deployment, window.start, baseline, series_ids, past, recent)


def _recent(
    connection: Connection, window: ClosedWindow, baseline: Baseline
) -> tuple[PairCounts, ...]:
    """Return the windows before *window* that a small one is added up with."""
    if baseline.model is None:
        return ()
    start, length, deployment = window.start, window.stream.window_ms, window.deployment
    since = start - (MOST_WINDOWS - 1) * length
    since = max(since, deployment.from_ms, deployment.range_until_ms or 0)
    found = counts_between(connection, window.stream, since, start)
    empty = panes.empty(len(window.layout.probes), len(window.layout.classes))
    newest_first = range(start - length, since - 1, -length)
    return tuple(PairCounts.of(found.get(w) or empty) for w in newest_first)
