"""The baseline by the clock that the stream file names now: fitted again if that has changed."""

from __future__ import annotations

import structlog

from tidegauge_probes.drift.baseline import Baseline
from tidegauge_service.store import baselines, deployments, streams
from tidegauge_service.store.deployments import Deployment
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()


def in_stream_time(
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
