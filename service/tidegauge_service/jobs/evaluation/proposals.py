"""Propose records of a window for labeling, while alerts are firing."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge_alerts.model import Alert
from tidegauge_service.candidates import proposal
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.store import candidates
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.windows import evaluation

PROPOSED_AT_ONCE = 16
"""Candidates that are written at once: each may have a payload of a megabyte, or more."""


def propose(
    connection: Connection,
    window: ClosedWindow,
    firing: Sequence[Alert],
    *,
    baseline: str,
    most: int,
    now_ms: int,
) -> int:
    """Choose at most *most* of the window's samples; return how many were proposed."""
    if not firing or not window.counts.records:
        return 0
    stream, layout = window.stream, window.layout
    kept = evaluation.samples(connection, stream, window.start)
    chosen = proposal.choose(kept, window.counts, layout, firing, most)
    taken = [(p, sample) for p, sample in kept if (p, sample.offset) in chosen]
    for first in range(0, len(taken), PROPOSED_AT_ONCE):
        some = taken[first : first + PROPOSED_AT_ONCE]
        proposed = proposal.candidates(
            stream.name,
            evaluation.with_payloads(connection, stream, some),
            chosen,
            layout,
            probe_set=stream.probe_set,
            baseline=baseline,
        )
        candidates.propose(connection, stream.id, proposed, now_ms)
    return len(taken)
