"""``tidegauge demo``: the main job in one process, on a stream that is made up as it goes."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from tidegauge_alerts.messages.message import headline
from tidegauge_alerts.messages.model import Status
from tidegauge_alerts.messages.phrases import change
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_probes.findings import ALL, SeriesKind
from tidegauge_service.cli.console.database import opened
from tidegauge_service.cli.console.terminal import (
    err,
    out,
    print_json,
    settings_of,
    sparkline,
    styled,
)
from tidegauge_service.clock import now_ms, to_iso, window_start
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import DemoSource
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig, load_stream
from tidegauge_service.config.tokens import new_token
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.errors import ServiceError
from tidegauge_service.ingest.sources.demo import DemoStream
from tidegauge_service.reports import summary as report
from tidegauge_service.runtime.consumer import Service
from tidegauge_service.runtime.listener import bind, link
from tidegauge_service.runtime.pipeline import Pipeline, open_pipeline
from tidegauge_service.runtime.server import Server, create_service_app
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.windows import queries

SEED = 7
RATE = 1_500
"""Records a second: five windows, so that the story takes some twenty seconds."""

HISTORY_DAYS = 60
PATIENCE_SECONDS = 120
MOST_LINES = 12


def demo(
    context: typer.Context,
    once: Annotated[  # noqa: FBT002
        bool, typer.Option("--once", help="Exit after the first incident.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print JSON.")] = False,  # noqa: FBT002
    port: Annotated[int, typer.Option(help="Port of the page; 0 picks a free one.")] = 0,
) -> None:
    """Show LFs watching a spam filter's traffic until the traffic changes.

    Everything runs in this process, on SQLite in a temporary folder that is deleted afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="tidegauge-demo-") as folder:
        url = SecretStr(f"sqlite:///{folder}/demo.db")
        settings = settings_of(context, database=url, port=port)
        with opened(settings, upgrade=True) as database:
            _DemoRun(settings, database, once=once, as_json=as_json).run()


def _story() -> tuple[StreamConfig, Plan]:
    """Return the stream, its history moved to end at about now."""
    folder = resources.files("tidegauge_service.demo")
    config = load_stream(Path(str(folder)) / "stream.yaml")
    start = window_start(now_ms() - HISTORY_DAYS * 86_400_000, config.window)
    plan = replace(Plan(), start_ms=start, window_ms=config.window)
    until = start + plan.quiet_windows * plan.window_ms
    baseline = BaselineRange.model_validate({"from": to_iso(start), "until": to_iso(until)})
    source = DemoSource(kind="demo", seed=SEED, rate=RATE)
    return config.model_copy(update={"baseline": baseline, "source": source}), plan


def _source(plan: Plan) -> DemoStream:
    def exists_by_now() -> int:
        return int((now_ms() - plan.start_ms) / plan.window_ms * plan.records_per_window)

    return DemoStream(partial(raw_at, SEED, plan=plan), rate=RATE, ceiling=exists_by_now)


class _DemoRun:
    """The demo as the reader sees it."""

    def __init__(
        self, settings: Settings, database: Database, *, once: bool, as_json: bool
    ) -> None:
        self._settings = settings
        self._database = database
        self._once = once
        self._as_json = as_json
        self._token = new_token()
        self._listener = bind(settings.host, settings.port)
        config, self._plan = _story()
        self._pipeline: Pipeline = open_pipeline(
            config, settings, database, now_ms, source=_source(self._plan)
        )
        self._service = Service(database, [self._pipeline], settings, now_ms)
        app = create_service_app(database, self._service.health, self._token, now_ms)
        self._server = Server(app, settings.host, settings.port, self._service.stopping)

    def run(self) -> None:
        """Serve in the background, tell the story in the foreground."""
        signal.signal(signal.SIGTERM, lambda *_: self._service.stopping.set())
        started = time.monotonic()
        serving = threading.Thread(target=self._server.run, args=([self._listener],), name="api")
        serving.start()
        try:
            if not self._server.bound.wait(PATIENCE_SECONDS):
                msg = f"cannot serve the page on port {self._settings.port}: choose another --port"
                raise ServiceError(msg)
            self._service.start()
            self._introduce()
            incident = self._await_incident(started)
            if incident:
                self._tell(incident, time.monotonic() - started)
            if not self._once:
                self._service.stopping.wait()
        except KeyboardInterrupt:
            err.print("stopping …")
        finally:
            self._service.stop()
            serving.join()

    @property
    def _url(self) -> str:
        return link(self._listener)

    def _introduce(self) -> None:
        err.print(
            "tidegauge demo: 12 labeling functions watch the traffic of a spam filter.\n"
            f"  {self._plan.quiet_windows} quiet windows become the baseline. Then a topic appears "
            "that no LF knows, and a spam campaign\n  misspells its words, so that the LF "
            "`mentions_vicodin` goes silent.\n"
            f"  page:  {self._url}/login?token={self._token}\n"
            f"  token: {self._token}",
            highlight=False,
            soft_wrap=True,
        )

    def _await_incident(self, started: float) -> list[Alert]:
        """Wait for firing alerts whose candidates are there too; none if it is stopped before."""
        stream = self._pipeline.scope.stream
        with err.status("reading …") as status:
            while time.monotonic() - started < PATIENCE_SECONDS:
                with self._database.read() as connection:
                    firing = alerts.page(
                        connection, stream=stream.name, state=AlertState.FIRING, limit=50
                    )
                    summary = queries.summary(connection, stream)
                if firing and summary.candidates:
                    return firing
                status.update(f"{summary.windows} windows, {summary.records} records …")
                if self._service.health.fatal:
                    raise self._service.health.fatal
                if self._service.stopping.wait(0.25):
                    return []
        msg = (
            f"no alert within {PATIENCE_SECONDS} s: is this machine overloaded? Run the demo again"
        )
        raise ServiceError(msg)

    def _tell(self, incident: list[Alert], seconds: float) -> None:
        with self._database.read() as connection:
            summary = report.summarise(connection, self._pipeline.scope.stream, seconds)
            pictures = self._pictures(connection)
        summary["url"] = f"{self._url}/login?token={self._token}"
        summary["token"] = self._token
        if self._as_json:
            print_json(summary)
            return
        strongest = sorted(incident, key=lambda alert: -abs(alert.rank))
        said = headline([change(alert.key, alert) for alert in strongest], Status.FIRING)
        out.print()
        out.print(styled("ALERT", "bold red"), f"after {seconds:.0f} s: {said}")
        for alert in strongest[:MOST_LINES]:
            out.print(self._line(alert), highlight=False)
        out.print(pictures, highlight=False)
        out.print(self._next_steps(summary), highlight=False)

    def _line(self, alert: Alert) -> str:
        band = f"{alert.low:.1%}–{alert.high:.1%}" if alert.low is not None else "?"
        return (
            f"  {alert.key!s:<48} {alert.expected:>6.1%} → {alert.observed:>6.1%}  "
            f"(99 % band {band}), since {to_iso(alert.opened_window_ms)}"
        )

    def _pictures(self, connection: Connection) -> str:
        """Draw the blind spot and the LF that went silent, window by window."""
        rows = (
            ("blind spot", SeriesKind.BLIND_SPOT, ""),
            ("mentions_vicodin", SeriesKind.COVERAGE, "mentions_vicodin"),
        )
        lines = [
            f"  {name:<18}{self._sparkline(connection, kind, probe)}" for name, kind, probe in rows
        ]
        return "\n".join(["", *lines, f"  {'':18}one block per window of an hour", ""])

    def _sparkline(self, connection: Connection, series: str, probe: str) -> str:
        found = queries.window_page(
            connection,
            self._pipeline.scope.stream,
            series=series,
            segment=ALL,
            probe=probe,
            limit=80,
            newest_first=True,
        )
        values = [w.series[0].observed if w.series else None for w in reversed(found)]
        return sparkline(values)

    def _next_steps(self, summary: dict[str, Any]) -> str:
        auth = f'-H "Authorization: Bearer {self._token}"'
        lines = [
            f"{summary['candidates']} retraining candidates are ready. Open:",
            f"  {summary['url']}",
            f'  curl {auth} "{self._url}/api/v1/alerts"',
            f'  curl {auth} "{self._url}/api/v1/candidates?reason=blind_spot&format=ndjson"',
        ]
        if not self._once:
            lines.append(
                "After window 100 traffic calms down and the alerts resolve. Stop with Ctrl-C."
            )
        return "\n".join(lines)
