"""Every query of every dashboard finds something in a real Prometheus, and every rule is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.exposition import choose_encoder

import tidegauge_dashboards
from tests.dashboards.queries import all_queries, substituted
from tests.dashboards.snapshots import PROBES, SEGMENTS, snapshot
from tests.servers.prometheus import PrometheusServer, ScrapeTarget
from tidegauge_service.metrics import meters
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import Snapshot

TOKEN = "a-made-up-token"


class Drifting:
    """A shared state that moves on by a window at every read."""

    def __init__(self) -> None:
        self.step = 0

    def __call__(self) -> Snapshot:
        self.step += 1
        return snapshot(self.step)


@contextmanager
def served(collector: Collector) -> Iterator[str]:
    """Serve a collector to those who have the token; yields host:port."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send_error(401)
                return
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            body = encode(collector.registry)
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_query_and_rule_finds_series_in_a_real_prometheus(
    prometheus_server: Callable[..., PrometheusServer], tmp_path: Path
) -> None:
    """One test, because it is one Prometheus: it takes five seconds until the first scrape."""
    rules = [path for path in tidegauge_dashboards.export(tmp_path) if path.suffix == ".yml"]
    meters.ran("spam", PROBES, np.array([0.5, 0.25, 0.125]))
    collector = Collector(Drifting(), ttl_s=0, others=[meters.REGISTRY])
    with served(collector) as address:
        prometheus = prometheus_server([ScrapeTarget(address, TOKEN)], rules)
        prometheus.wait_for('count_over_time(up{job="tidegauge"}[1m]) >= 3')
        assert prometheus.query("sum(up)")[0]["value"][1] == "1"
        _every_query_finds_something(prometheus, "spam", SEGMENTS[0], PROBES[0])
        _every_query_finds_something(prometheus, "spam", SEGMENTS[2], PROBES[2])
        _drift_is_visible(prometheus)
        _rules_are_evaluated(prometheus)


def _every_query_finds_something(
    prometheus: PrometheusServer, stream: str, segment: str, probe: str
) -> None:
    queries = all_queries(stream, segment, probe)
    assert len(queries) >= 25
    empty = [(title, expr) for title, expr in queries if not prometheus.query(expr)]
    assert empty == []


def _drift_is_visible(prometheus: PrometheusServer) -> None:
    where = '{stream="spam",segment="_all",probe="check_out"}'
    moved = prometheus.query(
        f"max(tidegauge_lf_coverage_ratio{where}) > max(tidegauge_lf_coverage_high_ratio{where})"
    )
    assert len(moved) == 1
    grew = prometheus.query('sum(increase(tidegauge_records_total{stream="spam"}[1m])) > 0')
    assert len(grew) == 1


RECORDED_AT_ONCE = (
    "stream:tidegauge_records:rate15m",
    "stream:tidegauge_consumer_lag_records:sum",
    "stream:tidegauge_watermark_age_seconds:max",
    "stream:tidegauge_source_end_age_seconds:max",
    "stream:tidegauge_window_evaluated_age_seconds:min",
    "stream:tidegauge_stale_after_seconds:max",
    "stream_probe_segment:tidegauge_lf_coverage_ratio:deviation",
    "stream:tidegauge_notifications_waiting:max",
    'ALERTS{alertname="TidegaugeDrift",severity="critical",kind="drift"}',
)


def _rules_are_evaluated(prometheus: PrometheusServer) -> None:
    for expr in RECORDED_AT_ONCE:
        prometheus.wait_for(expr)
    assert prometheus.query('ALERTS{alertname=~"Tidegauge(Down|SnapshotDown|WindowsStale)"}') == []


def test_a_variable_that_nobody_sets_is_an_error() -> None:
    with pytest.raises(KeyError, match="unheard_of"):
        substituted('x{a="$unheard_of"}', {"stream": "s"})
