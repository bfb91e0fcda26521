"""The baseline of a range of the stream's own windows: kept while it passes, then fitted."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_service.baselines.doubts import doubts
from tidegauge_service.baselines.live_windows import freeze
from tidegauge_service.jobs.evaluation.window import ClosedWindow
from tidegauge_service.store import baselines, deployments, streams
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import evaluation, precision

log = structlog.get_logger()


def keep(
    connection: Connection, window: ClosedWindow, state: WindowState, most: int, now_ms: int
) -> None:
    """Write a window that is not compared: it is before the range, or in it.

    Of one in the range, the votes of *most* samples are kept: the label model is fitted from them.
    """
    stream, start, records = window.stream, window.start, window.counts.records
    evaluation.save_window(
        connection, stream, start, state=state, baseline=None, records=records, now_ms=now_ms
    )
    if state is WindowState.BASELINE:
        precision.keep_votes(connection, stream, start, records=records, most=most)


def load_or_fit(
    connection: Connection,
    window: ClosedWindow,
    now_ms: int,
    balance: Mapping[str, float] | None = None,
) -> Baseline:
    """Return the deployment's baseline; fit it first if its range has just been passed.

    One that was fitted by another `timezone` or `calendar` is fitted again, from its counts.
    *balance*: the share of each class in the range, if somebody knows them.
    Raises BaselineError if the range turns out to hold no records, or *balance* is none.
    """
    if window.deployment.baseline is not None:
        found = baselines.load(connection, window.deployment.baseline)
        return _in_stream_time(connection, window.stream, window.deployment, found, now_ms)
    return _fit(connection, window, now_ms, balance)


def _in_stream_time(
    connection: Connection,
    stream: StreamRow,
    deployment: Deployment,
    found: Baseline,
    now_ms: int,
) -> Baseline:
    """Return the deployment's baseline by the stream's `timezone` and `calendar`.

    It holds the counts of its windows, so nothing has to be counted again. The new one is kept and
    used from the present window on; the old one stays what earlier windows were compared with.
    """
    civil = streams.config_of(connection, stream.id).civil
    again = found.in_time(civil)
    if again is found:
        return found
    baselines.save(connection, again, None, now_ms)
    deployments.recompare(connection, deployment, again.id)
    log.info(
        "baseline_refitted",
        stream=stream.name,
        before=found.id,
        baseline=again.id,
        timezone=civil.zone,
        calendar=civil.calendar or None,
    )
    return again


def _fit(
    connection: Connection,
    window: ClosedWindow,
    now_ms: int,
    balance: Mapping[str, float] | None,
) -> Baseline:
    """Freeze the baseline from the stream's own windows, and write their figures."""
    stream, deployment = window.stream, window.deployment
    since, until = deployment.range_from_ms, deployment.range_until_ms
    if since is None or until is None:
        msg = f"stream '{stream.name}' has no baseline attached"
        raise BaselineError(msg)  # the pipeline attaches the other kinds before it starts
    fitted, panes = freeze(connection, stream, since, until, balance=balance)
    baselines.save(connection, fitted, None, now_ms)
    precision.drop_votes(connection, stream)
    deployments.attach(connection, stream, deployment, fitted.id)
    ids = evaluation.series_ids(connection, stream, fitted.keys)
    for start, pane in panes.items():
        if deployment.counts(start):  # else another deployment was live there
            figures = comparison.describe(start, pane, fitted)
            evaluation.save_findings(connection, stream, figures, ids)
    log.info(
        "baseline_fitted",
        stream=stream.name,
        baseline=fitted.id,
        records=fitted.total.records,
        evaluation=len(fitted.starts),
        learning=fitted.learning,
        label_model=None if fitted.model is None else fitted.model.records,
    )
    doubtful = doubts(fitted)
    if doubtful:
        log.warning("baseline_doubtful", stream=stream.name, baseline=fitted.id, doubts=doubtful)
    return fitted
