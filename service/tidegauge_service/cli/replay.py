"""``tidegauge replay``: the alerts that would have been raised."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.table import Column, Table

from tidegauge_alerts.incidents.incident import Incident, incidents_of
from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import late_advice
from tidegauge_alerts.model import Alert, AlertState
from tidegauge_service.cli.console.database import opened
from tidegauge_service.cli.console.outcome import learning_period, learning_text, no_comparison
from tidegauge_service.cli.console.sight import blind_lines, failure_lines, text_lines
from tidegauge_service.cli.console.terminal import (
    LiteralConsole,
    err,
    out,
    print_json,
    progress,
    settings_of,
)
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import BaselineName, StreamConfig, load_stream
from tidegauge_service.errors import (
    NoWorkingLf,
    SettingsError,
    StreamHalted,
    TooManyDeadLetters,
)
from tidegauge_service.jobs.punctuality import Arrived, mostly_late
from tidegauge_service.reports import page
from tidegauge_service.reports import summary as report
from tidegauge_service.runtime.pipeline import Pipeline, check_receivers, open_pipeline
from tidegauge_service.store import baselines
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import comparisons, sight
from tidegauge_service.store.windows.counts import every_lf_failed
from tidegauge_service.store.windows.failures import lf_failures

_USELESS = (
    "stream '{name}': every LF failed on every record, so no alert could be raised. "
    "`tidegauge probes check {file}` says why: correct `record` in {file}, or the LFs"
)


def replay(
    context: typer.Context,
    stream: Annotated[Path, typer.Argument(help="The stream file.")],
    database: Annotated[
        str | None, typer.Option(help="URL of a database to keep the results in.")
    ] = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="Write a report with charts to this HTML file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Run history through the live pipeline to see which alerts it would have raised.

    No notifications are sent. Without --database, the results are printed and then discarded.
    """
    config = load_stream(stream)
    if config.source.kind == "log":
        msg = (
            "a log stream has no history to replay: its events are counted once, in the database. "
            "To replay its records, put them in a file and use `source: {kind: file, …}`"
        )
        raise SettingsError(msg)
    if report_to is not None:
        page.check_writable(report_to)
    _warn_of_receivers(config, settings_of(context))
    with tempfile.TemporaryDirectory(prefix="tidegauge-") as folder:
        url = database or f"sqlite:///{folder}/replay.db"
        settings = settings_of(context, database=SecretStr(url))
        with opened(settings, upgrade=True) as store:
            _bring_baseline(config, settings_of(context), store)
            started = time.monotonic()
            quiet = config.model_copy(
                update={"alerts": config.alerts.model_copy(update={"receivers": []})}
            )
            pipeline = _read_to_end(quiet, settings, store, kept=database is not None)
            seconds = time.monotonic() - started
            row = pipeline.scope.stream
            with store.read() as connection:
                summary = report.summarise(connection, row, seconds)
                alerts = report.all_alerts(connection, row.name)
                blind = sight.load(connection, row.id).found or ()
                useless = every_lf_failed(connection, row)
                failing = lf_failures(connection, row)
                learned = learning_period(connection, row)
                uncompared = comparisons.why_not(connection, row)
                found = None
                if report_to is not None:
                    found = page.read(connection, row, config, seconds)
            if report_to is not None and found is not None:
                page.write(report_to, found, now_ms)
            if as_json:
                print_json(summary)
            else:
                why = no_comparison(uncompared, config.file) if uncompared else ""
                _show(summary, alerts, config.source.kind, why)
                _print(blind_lines(blind, config, settings), out)
                _print([] if learned is None else [learning_text(learned)], out)
            notes = (
                *failure_lines(failing, blind, config.file),
                *text_lines(config, blind, settings),
            )
            _print(notes, err if as_json else out)
            if not summary["records"]:
                dead = int(summary["dead_letters"])
                pipeline.require_records(dead, kept=database is not None)
            if useless:
                raise NoWorkingLf(_USELESS.format(name=row.name, file=config.file))


def _print(lines: Sequence[str], console: LiteralConsole) -> None:
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _warn_of_receivers(config: StreamConfig, settings: Settings) -> None:
    """Say what `run` would refuse; a replay sends nothing, so it goes on."""
    try:
        check_receivers(config, settings)
    except SettingsError as error:
        err.print(f"warning: {error}. `tidegauge run` refuses to start without it")


def _read_to_end(
    config: StreamConfig, settings: Settings, store: Database, *, kept: bool
) -> Pipeline:
    """Return the stream, read and evaluated to its end. *kept*: whether the database stays."""
    with progress("records") as advance:
        pipeline = open_pipeline(config, settings, store, now_ms, fitted=advance)
        gc.freeze()  # as in worker_process
        pipeline.sight.logs = False  # it is printed at the end
        try:
            pipeline.run_to_end(lambda p: advance(p.records + p.dead_letters))
        except TooManyDeadLetters as error:
            if kept:
                raise
            raise StreamHalted(error.cause) from error  # they went with the replay
        finally:
            pipeline.close()
    return pipeline


def _bring_baseline(config: StreamConfig, settings: Settings, store: Database) -> None:
    """Copy a named baseline from the configured database: the replay has one of its own."""
    chosen = config.baseline
    if not isinstance(chosen, BaselineName):
        return
    with store.read() as connection:
        if baselines.is_known(connection, chosen.name):
            return
    with opened(settings) as configured, configured.read() as connection:
        found = baselines.find(connection, chosen.name)
    name = None if chosen.name == found.id else chosen.name
    with store.write() as connection:
        baselines.save(connection, found, name, now_ms())


def _show(
    summary: dict[str, object], alerts: Sequence[Alert], source: str, uncompared: str = ""
) -> None:
    out.print(
        f"{summary['records']} records in {summary['windows']} windows, {summary['late']} late, "
        f"{summary['dead_letters']} dead letters, {summary['seconds']} s "
        f"({summary['records_per_second']} records/s)",
        highlight=False,
    )
    if mostly_late(Arrived(int(str(summary["records"])), int(str(summary["late"])))):
        out.print(f"  most records are late. {late_advice(source)}", highlight=False)
    for reason, n in summary["dead_letter_reasons"].items():  # type: ignore[attr-defined]
        out.print(f"  dead letter {reason}: {n}", highlight=False)
    if alerts:
        table = Table(
            Column("opened (UTC)", no_wrap=True),
            Column("resolved (UTC)", no_wrap=True),
            "what happened",
        )
        for incident in incidents_of(alerts):
            table.add_row(*_cells(incident))
        out.print(table)
    else:
        out.print("no alerts")
    if uncompared:
        out.print(f"  {uncompared}")
    out.print(f"{summary['candidates']} candidates", highlight=False)


def _cells(incident: Incident) -> tuple[str, str, str]:
    """Return an incident as the messages word it: the figures are those that were compared."""
    again = phrases.reopenings(incident.root.reopened)
    marks = filter(None, (incident.kind, incident.severity, again))
    return (
        _minute(incident.opened_window_ms),
        _ended(incident),
        f"{incident.headline} ({', '.join(marks)})",
    )


def _ended(incident: Incident) -> str:
    """Return when an incident ended, or that it has settled: it is open, but nobody is told."""
    if incident.resolved_window_ms is not None:
        return _minute(incident.resolved_window_ms)
    return "settled" if incident.state is AlertState.SETTLED else ""


def _minute(ms: int) -> str:
    """Return a time without seconds if there are none: dates must fit into 80 columns whole."""
    return to_iso(ms).removesuffix(":00Z")
