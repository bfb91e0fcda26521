"""A closed window, and what was counted in it by the deployment that is live there."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.model import Layout
from tidegauge_service.store import deployments, layouts
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows.counts import with_distinct_texts
from tidegauge_service.store.windows.wholeness import is_whole


@dataclass(frozen=True, eq=False)
class ClosedWindow:
    """A window whose counts never change again. Times are epoch ms."""

    start: int
    stream: StreamRow
    """As its deployment sees it: that one's ProbeSet and baseline."""
    deployment: Deployment
    layout: Layout
    counts: PaneCounts
    whole: bool
    """Whether all its records can have been seen: it is neither the stream's first, nor cut off by
    the end of the source."""

    @property
    def until(self) -> int:
        """The start of the next window."""
        return self.start + self.stream.window_ms

    @property
    def range_state(self) -> WindowState | None:
        """The state of a window that a baseline is still to be fitted from, or that is before it.

        None if the window is to be compared.
        """
        since, until = self.deployment.range_from_ms, self.deployment.range_until_ms
        if self.deployment.baseline is not None or until is None or self.start >= until:
            return None
        return WindowState.BEFORE if self.start < (since or 0) else WindowState.BASELINE


def count(connection: Connection, stream: StreamRow, start: int) -> ClosedWindow:
    """Add up the panes of a window, as the deployment that is live in it has counted them."""
    deployment = deployments.live_at(deployments.of_stream(connection, stream.id), start)
    seen = deployments.seen_from(stream, deployment)
    layout = layouts.layout_of(connection, deployment.probe_set)
    found = with_distinct_texts(connection, seen, start, start + stream.window_ms)
    counts = found.get(start) or panes.empty(len(layout.probes), len(layout.classes))
    whole = is_whole(connection, stream, start)
    return ClosedWindow(start, seen, deployment, layout, counts, whole)
