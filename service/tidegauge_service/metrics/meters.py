"""Figures of this process alone: time spent in LFs and commits, liftings ended, fenced commits.

Everything else in /metrics is read from the database, so that every process answers alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY: Final = CollectorRegistry()

_LF_SECONDS: Final = Counter(
    "tidegauge_lf_run_seconds",
    "Time this process has spent in a labeling function.",
    ("stream", "probe"),
    registry=REGISTRY,
)
_COMMIT_SECONDS: Final = Histogram(
    "tidegauge_commit_seconds",
    "Time a commit of this process took.",
    ("stream",),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_FENCED: Final = Counter(
    "tidegauge_commits_fenced",
    "Commits of this process that were dropped, because another worker had moved the position.",
    ("stream",),
    registry=REGISTRY,
)
_LIFTING_ENDED: Final = Counter(
    "tidegauge_lf_lifting_ended",
    "Labeling functions that this process runs as they are again, after a difference.",
    ("stream", "probe"),
    registry=REGISTRY,
)


def ran(stream: str, probes: Sequence[str], seconds: npt.NDArray[np.float64]) -> None:
    """Add the time a batch spent in each LF."""
    for probe, spent in zip(probes, seconds, strict=True):
        _LF_SECONDS.labels(stream, probe).inc(float(spent))


def lifting_ended(stream: str, probe: str) -> None:
    """Note an LF that is not lifted any more."""
    _LIFTING_ENDED.labels(stream, probe).inc()


def committed(stream: str, seconds: float) -> None:
    """Note a commit."""
    _COMMIT_SECONDS.labels(stream).observe(seconds)


def fenced(stream: str) -> None:
    """Note a commit that was dropped."""
    _FENCED.labels(stream).inc()
