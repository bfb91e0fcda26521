"""The backtest report of ``replay --report``: read from the store, written as one HTML file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tidegauge_probes.documents.core_schema import dump
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_service.clock import Clock, to_iso
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig
from tidegauge_service.errors import SettingsError
from tidegauge_service.reports.summary import all_alerts
from tidegauge_service.store import baselines
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import queries
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.web.charts import histories
from tidegauge_service.web.pages import backtest
from tidegauge_service.web.pages.backtest import Backtest
from tidegauge_service.web.words import duration

MOST_WINDOWS = 25_000
"""The last windows that are read for the charts."""


def check_writable(path: Path) -> None:
    """SettingsError unless a report can be written to *path*: said before the work, not after."""
    if path.is_dir() or not path.parent.is_dir():
        msg = f"cannot write a report to {path}: choose a file in an existing folder"
        raise SettingsError(msg)


def write(path: Path, found: Backtest, clock: Clock) -> None:
    """Write the report; SettingsError if the file cannot be written."""
    text = backtest.render(found, clock(), version("tidegauge"))
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"cannot write the report to {path}: {error.strerror or error}"
        raise SettingsError(msg) from error


def read(
    connection: Connection, stream: StreamRow, config: StreamConfig, seconds: float
) -> Backtest:
    """Read what a replay left in the store."""
    alerts = all_alerts(connection, stream.name)
    summary = queries.summary(connection, stream)
    # The windows alone: no series has that name.
    windows = queries.window_page(
        connection, stream, series="", limit=MOST_WINDOWS, newest_first=True
    )
    windows.reverse()
    return Backtest(
        summary=summary,
        seconds=seconds,
        settings=settings_text(config),
        baseline=_baseline(connection, summary),
        states={window.start_ms: window.state for window in windows},
        late={window.start_ms: window.late for window in windows if window.late},
        alerts=alerts,
        figures=queries.heat_map(connection, stream, MOST_WINDOWS),
        histories={
            key: histories.history(connection, stream, key, MOST_WINDOWS)
            for key in backtest.drawn_series(alerts)
        },
    )


def settings_text(config: StreamConfig) -> str:
    """Return the settings that shaped the result, as YAML that can be put into a stream file.

    The source stays out: it may hold names of hosts, or a password.
    """
    chosen = config.baseline
    limits = {
        "max_skew": _short(config.limits.max_skew),
        "max_segments": config.limits.max_segments,
    }
    shown = {
        "probes": config.probes,
        "segment_by": list(config.segment_by),
        "window": _short(config.window),
        "lateness": _short(config.lateness),
        "timezone": config.timezone,
        **({"calendar": config.calendar} if config.calendar else {}),
        "baseline": {"from": to_iso(chosen.from_), "until": to_iso(chosen.until)}
        if isinstance(chosen, BaselineRange)
        else chosen.model_dump(mode="json"),
        "alerts": {
            **config.alerts.model_dump(mode="json"),
            "false_alarms": config.false_alarms.text,
        },
        "samples": config.samples.model_dump(mode="json"),
        "limits": limits,
    }
    return dump(shown)


def _short(ms: int) -> str:
    return duration(ms).replace(" ", "")


def _baseline(connection: Connection, summary: StreamSummary) -> Baseline | None:
    last = summary.last_window
    if last is None or last.baseline is None:
        return None
    return baselines.load(connection, last.baseline)
