"""Freeze a baseline from windows of the stream itself, as one ProbeSet has counted them."""

from __future__ import annotations

from collections.abc import Mapping

from tidegauge_probes import baseline as baselines
from tidegauge_probes import label_model
from tidegauge_probes.baseline import Baseline
from tidegauge_probes.contents import deployed, names
from tidegauge_probes.counts import PaneCounts
from tidegauge_service.clock import to_iso
from tidegauge_service.store import baselines as stored
from tidegauge_service.store import precision as precisions
from tidegauge_service.store import streams, windows
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow


def freeze(
    connection: Connection, stream: StreamRow, since: int, until: int, now_ms: int
) -> tuple[Baseline, Mapping[int, PaneCounts]]:
    """Fit and keep the baseline of ``stream.probe_set``; return it and the counts it is made of.

    Raises BaselineError if the ProbeSet has counted nothing in the range.
    """
    panes = windows.counts_between(connection, stream, since, until)
    contents = streams.contents_of(connection, stream.probe_set) or {"probes": [], "slices": []}
    layout = streams.layout_of(connection, stream.probe_set)
    votes, weights = precisions.kept_votes(connection, stream, since, until, len(layout.probes))
    fitted = baselines.fit(
        panes,
        layout=layout,
        probe_set=stream.probe_set,
        window_ms=stream.window_ms,
        source={"stream": stream.name, "from": to_iso(since), "until": to_iso(until)},
        slices=names(contents["slices"]),
        model=label_model.fit_if_identified(
            votes, len(layout.classes), weights, deployed(contents)
        ),
    )
    stored.save(connection, fitted, None, now_ms)
    return fitted, panes
