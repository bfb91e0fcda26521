"""The end of learning: from a baseline that is too short to one that says how much is normal.

An alert that is open puts the end off, because what has left the baseline must not become part of
it. But not for ever: after ``MOST_LEARNING`` windows the traffic since the oldest open alert is
taken for the normal one, and people are told that this was assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_alerts.messages.model import Message, Status
from tidegauge_alerts.model import Alert
from tidegauge_probes.drift import skew
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS, Baseline, is_learning
from tidegauge_service.baselines.live_windows import freeze, of_stream, stretches_of
from tidegauge_service.clock import to_iso
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.store import baselines, deployments, streams
from tidegauge_service.store.alerting import alerts, outbox
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import evaluation
from tidegauge_service.store.windows import skew as skews

log = structlog.get_logger()

MOST_LEARNING = 4 * LEARNING_WINDOWS
"""Windows after which learning ends though alerts are open: eight days of hourly ones."""

Written = Callable[[Status], Message]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a baseline is made of: the *n* windows with records in [first, until)."""

    first: int
    n: int
    assumed: str | None = None


def learn(
    connection: Connection, scope: StreamScope, window: ClosedWindow, before: Baseline
) -> None:
    """Compare the deployment with a baseline of live windows from now on, if enough are known.

    It is made of windows up to *window*. If *before* is one of training data, the two are
    compared, once; the receivers are told how they differ, and what had to be assumed.
    """
    stream, deployment, until = window.stream, window.deployment, window.until
    now_ms, url = scope.clock(), scope.url
    chosen = _choose(connection, stream, deployment, before, until)
    if chosen is None:
        return
    live, _ = freeze(connection, stream, chosen.first, until, before, assumed=chosen.assumed)
    baselines.save(connection, live, None, now_ms)
    deployments.recompare(connection, deployment, live.id)
    log.info(
        "baseline_learned",
        stream=stream.name,
        baseline=live.id,
        evaluation=chosen.n,
        assumed=chosen.assumed,
    )

    def notify(written: Written) -> None:
        """Enqueue what is over as soon as it is known: it fires, and resolves by itself."""
        for status, after_ms in ((Status.FIRING, 0), (Status.RESOLVED, outbox.SHOWN_MS)):
            message = written(status)
            outbox.enqueue(
                connection, stream.id, scope.receivers, message, now_ms=now_ms, after_ms=after_ms
            )

    name, probe_set, said = stream.name, stream.probe_set, chosen.assumed
    if said is not None:
        notify(
            lambda status: notices.assumed_normal(
                status, name, said, probe_set=probe_set, baseline=live.id, url=url
            )
        )
    if of_stream(before, stream):
        return
    found = skew.compare(before, live)
    ids = {"training": before.id, "baseline": live.id}
    skews.save(connection, stream, **ids, found=found, now_ms=now_ms)
    if found:
        notify(
            lambda status: notices.skewed(status, name, found, probe_set=probe_set, **ids, url=url)
        )


def _choose(
    connection: Connection, stream: StreamRow, deployment: Deployment, before: Baseline, until: int
) -> _Chosen | None:
    """Return the windows that say what is normal; None while it is learned."""
    opened = [a for a in alerts.open_alerts(connection, stream.id) if not a.rule]
    since = _since(stream, deployment, before, until, opened)
    chosen = _enough(connection, stream, since, until)
    if chosen is not None or not opened:
        return chosen
    began = evaluation.first_compared(connection, stream, before.id)
    if began is None or until - began < MOST_LEARNING * stream.window_ms:
        return None
    oldest = max(deployment.from_ms, min(alert.opened_window_ms for alert in opened))
    said = (
        f"after {(until - began) // stream.window_ms} windows of learning, the traffic since "
        f"{to_iso(oldest)} is assumed to be normal, although {len(opened)} alerts were open"
    )
    return _enough(connection, stream, oldest, until, said)


def _enough(
    connection: Connection, stream: StreamRow, since: int, until: int, assumed: str | None = None
) -> _Chosen | None:
    """Return the windows since then, if they are enough to know how much is normal."""
    first, n = evaluation.with_records(connection, stream, since, until)
    n -= _left_out(connection, stream, since, until)
    if first is None or is_learning(n, until - first, stream.window_ms):
        return None
    return _Chosen(first, n, assumed)


def _left_out(connection: Connection, stream: StreamRow, since: int, until: int) -> int:
    """Return how many of the windows with records people leave out of every baseline."""
    stretches, _ = stretches_of(streams.config_of(connection, stream.id), since, until)
    return sum(
        evaluation.with_records(connection, stream, max(first, since), min(end, until))[1]
        for first, end in stretches
    )


def _since(
    stream: StreamRow,
    deployment: Deployment,
    before: Baseline,
    until: int,
    opened: Sequence[Alert],
) -> int:
    """Return the first window that may be learned from; *until*, if none may.

    A baseline of the stream's own windows grows, but never by those of an alert: they have left
    it. One of training data is followed by what is live, however far from it, so that an alert
    only puts off the beginning, to when it opened: before, the traffic was another.
    """
    if not of_stream(before, stream):
        return max([deployment.from_ms, *(alert.opened_window_ms for alert in opened)])
    return until if opened else int(before.starts[0])
