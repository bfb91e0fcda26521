"""A real Prometheus scrapes a real run: every query of the dashboard finds data, and the drift."""

from __future__ import annotations

from pathlib import Path

import tidegauge_dashboards
from tests.conftest import PrometheusFactory
from tests.dashboards.queries import all_queries
from tests.e2e.demo_stream import write_demo_stream
from tests.e2e.serving import TOKEN, serving
from tests.servers.prometheus import ScrapeTarget, promtool
from tests.servers.waiting import wait_until


def test_every_query_of_the_dashboard_shows_the_run(
    tmp_path: Path, prometheus_server: PrometheusFactory
) -> None:
    # 90 windows: the incident is under way when the stream stands still.
    stream = write_demo_stream(
        tmp_path, source={"kind": "demo", "seed": 7, "limit": 90 * 300, "rate": 4_000}
    )
    exported = tidegauge_dashboards.export(tmp_path / "grafana")
    [rules] = [path for path in exported if path.name.endswith(".rules.yml")]
    with serving(stream, cwd=tmp_path) as service:
        target = ScrapeTarget(f"127.0.0.1:{service.port}", TOKEN)
        prometheus = prometheus_server([target], [rules])
        drift = 'tidegauge_blind_spot_ratio{segment="_all"} > tidegauge_blind_spot_high_ratio'
        prometheus.wait_for(drift, timeout=60)
        prometheus.wait_for("tidegauge_windows_evaluated_total >= 85", timeout=60)

        missing = {title for title, _ in all_queries("demo", "_all", "mentions_vicodin")}

        def found_all() -> bool:
            for title, expr in all_queries("demo", "_all", "mentions_vicodin"):
                if prometheus.query(expr):
                    missing.discard(title)
            return not missing

        wait_until(found_all, timeout=60, interval=1, what=f"data for {sorted(missing)}")

        silent = 'tidegauge_lf_coverage_ratio{probe="mentions_vicodin",segment="_all"}'
        [sample] = prometheus.query(silent)
        assert float(sample["value"][1]) < 0.02
        prometheus.wait_for('ALERTS{alertname="TidegaugeDrift"}', timeout=90)

        checked = promtool("check", "metrics", stdin=service.get("/metrics").text)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert (checked.stdout + checked.stderr).strip() == ""
    checked = promtool("check", "rules", str(rules))
    assert checked.returncode == 0, checked.stdout + checked.stderr
