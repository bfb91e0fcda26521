"""What deployments have counted: per closed window, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import sqlalchemy as sa

from tidegauge_probes.counts.panes import BLIND, COVERED, PaneCounts
from tidegauge_probes.model import Layout
from tidegauge_service.store import deployments, layouts, schema, streams
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.streams import CLOSED, StreamRow
from tidegauge_service.store.windows.counts import counts_between

MOST_COMMON = 168
"""Maximum number of windows over which two deployments are compared, newest first. A week of
hours."""


@dataclass(frozen=True, slots=True)
class LfFigures:
    """What one LF did, in records. ``votes``: class → votes."""

    probe: str
    votes: Mapping[str, int]
    overlaps: int
    conflicts: int
    errors: int

    @property
    def covered(self) -> int:
        """Records it voted on."""
        return sum(self.votes.values())


@dataclass(frozen=True, slots=True)
class DeploymentFigures:
    """What one deployment has counted in some windows."""

    records: int
    covered: int
    blind: int
    lfs: tuple[LfFigures, ...]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two deployments in the closed windows that both have counted, ``starts`` in order."""

    starts: tuple[int, ...]
    before: DeploymentFigures | None
    after: DeploymentFigures | None


def listing(connection: sa.Connection, stream: StreamRow) -> list[Deployment]:
    """Return all deployments of a stream, the newest first."""
    return deployments.of_stream(connection, stream.id)[::-1]


def page(
    connection: sa.Connection,
    stream: StreamRow,
    probe_set: str,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int = 100,
) -> list[tuple[int, DeploymentFigures]]:
    """Return (start, figures) of the closed windows that a deployment has counted, in order.

    Windows whose panes were removed (``retention.panes``) are not among them.
    """
    t = schema.pane
    query = _closed(connection, stream, probe_set).order_by(t.c.window_start_ms).limit(limit)
    if since_ms is not None:
        query = query.where(t.c.window_start_ms >= since_ms)
    if until_ms is not None:
        query = query.where(t.c.window_start_ms < until_ms)
    starts = connection.execute(query).scalars().all()
    counted = _counts(connection, stream, probe_set, starts)
    layout = layouts.layout_of(connection, probe_set)
    return [(start, _figures(counted[start], layout)) for start in starts]


def side_by_side(
    connection: sa.Connection, stream: StreamRow, before: str, after: str
) -> SideBySide:
    """Return what two deployments did with the same records."""
    both = _closed(connection, stream, before).intersect(_closed(connection, stream, after))
    common: list[int] = sorted(connection.execute(both).scalars())
    found = common[-MOST_COMMON:]
    sums = []
    for probe_set in (before, after):
        counted = _counts(connection, stream, probe_set, found)
        layout = layouts.layout_of(connection, probe_set)
        sums.append(_figures(reduce(add, counted.values()), layout) if found else None)
    return SideBySide(tuple(found), sums[0], sums[1])


def _closed(connection: sa.Connection, stream: StreamRow, probe_set: str) -> sa.Select[Any]:
    t = schema.pane
    closed = streams.cursor(connection, stream.id, CLOSED) or 0
    mine = (t.c.stream_id == stream.id, t.c.probe_set == probe_set)
    return sa.select(t.c.window_start_ms).where(*mine, t.c.window_start_ms < closed).distinct()


def _counts(
    connection: sa.Connection, stream: StreamRow, probe_set: str, starts: Sequence[int]
) -> dict[int, PaneCounts]:
    if not starts:
        return {}
    seen = replace(stream, probe_set=probe_set)
    found = counts_between(connection, seen, starts[0], starts[-1] + 1)
    return {start: found[start] for start in starts}


def _figures(counts: PaneCounts, layout: Layout) -> DeploymentFigures:
    totals = counts.all
    lfs = tuple(
        LfFigures(
            probe=probe,
            votes={
                label: int(n)
                for label, n in zip(layout.classes, totals.outcomes[i], strict=False)
                if n
            },
            overlaps=int(totals.overlaps[i]),
            conflicts=int(totals.conflicts[i]),
            errors=int(totals.errors[i]),
        )
        for i, probe in enumerate(layout.probes)
    )
    covered, blind = int(totals.totals[COVERED]), int(totals.totals[BLIND])
    return DeploymentFigures(counts.records, covered, blind, lfs)
