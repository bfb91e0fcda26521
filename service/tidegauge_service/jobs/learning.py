"""The end of learning: from a baseline that is too short to one that says how much is normal."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from tidegauge_alerts import notices
from tidegauge_alerts.messages import Status
from tidegauge_probes import skew
from tidegauge_probes.baseline import Baseline, is_learning
from tidegauge_service.freezing import freeze, of_stream
from tidegauge_service.store import alerts, deployments, outbox, windows
from tidegauge_service.store import skew as skews
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()


def learn(
    connection: Connection,
    stream: StreamRow,
    version: Deployment,
    before: Baseline,
    until: int,
    *,
    now_ms: int,
    to: Sequence[str] = (),
    url: str = "",
) -> None:
    """Compare the version with a baseline of live windows from now on, if enough are known.

    Windows before *until* make it. If *before* is one of training data, the two are compared,
    once; receivers *to* hear in what they differ.
    """
    since = _since(connection, stream, version, before, until)
    first, n = windows.with_records(connection, stream, since, until)
    if first is None or is_learning(n, until - first, stream.window_ms):
        return
    live, _ = freeze(connection, stream, first, until, now_ms, before)
    deployments.recompare(connection, version, live.id)
    log.info("baseline_learned", stream=stream.name, baseline=live.id, windows=n)
    if of_stream(before, stream):
        return
    found = skew.compare(before, live)
    ids = {"training": before.id, "baseline": live.id}
    skews.save(connection, stream, **ids, found=found, now_ms=now_ms)
    if not found:
        return
    for status, after_ms in ((Status.FIRING, 0), (Status.RESOLVED, outbox.SHOWN_MS)):
        lineage = {"probe_set": stream.probe_set, **ids}
        message = notices.skewed(status, stream.name, found, **lineage, url=url)
        outbox.enqueue(connection, stream.id, to, message, now_ms=now_ms, after_ms=after_ms)


def _since(
    connection: Connection, stream: StreamRow, version: Deployment, before: Baseline, until: int
) -> int:
    """Return the first window that may be learned from; *until*, if none may.

    A baseline of the stream's own windows grows, but never by those of an alert: they have left
    it. One of training data is followed by what is live, however far from it, so that an alert
    only puts off the beginning, to when it opened: before, the traffic was another.
    """
    opened = [a.opened_window_ms for a in alerts.open_alerts(connection, stream.id) if not a.rule]
    if not of_stream(before, stream):
        return max([version.from_ms, *opened])
    return until if opened else int(before.starts[0])
