"""Compare a window with its baseline, and write what was found."""

from __future__ import annotations

import numpy as np

from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.label_model import precision
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.jobs.evaluation.window_history import ComparedWindow, WindowHistory
from tidegauge_service.jobs.evaluation.window_precision import estimate_precision
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.windows import evaluation
from tidegauge_service.store.windows import precision as precisions


def compare(window: ClosedWindow, history: WindowHistory, detector: Detector) -> ComparedWindow:
    """Find the series of a window that have left the baseline. Pure."""
    baseline = history.baseline
    found = comparison.compare(
        window.start, window.counts, baseline, detector, history.past, whole=window.whole
    )
    compared = [f.texts or f for f in found]
    x, n = np.array([(f.x, f.n) for f in compared], dtype=np.int64).T
    by_key = {finding.key: finding for finding in found}
    return ComparedWindow(window, history.with_window(window), by_key, x, n)


def save(connection: Connection, compared: ComparedWindow, now_ms: int) -> None:
    """Write a compared window, its findings, and the precision of its votes."""
    window, baseline = compared.window, compared.history.baseline
    evaluation.save_window(
        connection,
        window.stream,
        window.start,
        state=WindowState.LEARNING if baseline.learning else WindowState.COMPARED,
        baseline=baseline.id,
        records=window.counts.records,
        now_ms=now_ms,
    )
    findings, ids = tuple(compared.findings.values()), compared.history.series_ids
    evaluation.save_findings(connection, window.stream, findings, ids)
    if baseline.model is not None:
        pooled = precision.pooled(compared.history.recent)
        found = estimate_precision(window.start, baseline, baseline.model, pooled)
        precisions.save(connection, window.stream, found)
