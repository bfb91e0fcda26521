"""``tidegauge candidates``: take retraining candidates away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_service.candidates import export as exports
from tidegauge_service.candidates.export import ExportFormat
from tidegauge_service.candidates.proposal import ProposalReason
from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.options import OptionsOnly
from tidegauge_service.cli.console.terminal import err, settings_of, span
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import candidates
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.candidates import CandidateFilter

app = typer.Typer(help="Export retraining candidates.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `export` a subcommand."""


@app.command(cls=OptionsOnly)
def export(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option(help="File to write (default: standard output)")
    ] = None,
    format: Annotated[ExportFormat, typer.Option(help="Output format.")] = ExportFormat.NDJSON,  # noqa: A002
    stream: Annotated[
        str | None, typer.Option(help="Only this stream (name or stream file).")
    ] = None,
    reason: Annotated[
        ProposalReason | None, typer.Option(help="Only candidates proposed for this reason.")
    ] = None,
    alert: Annotated[
        str | None, typer.Option(help="Only candidates proposed by this alert (id).")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only records from this time on (ISO 8601, inclusive).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only records before this time (ISO 8601, exclusive).")
    ] = None,
) -> None:
    """Export candidates as NDJSON, CSV or Parquet."""
    since_ms, until_ms = span(since, until)
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream) if stream is not None else None
        if alert is not None and alerts.get(connection, alert) is None:
            msg = f"there is no alert '{alert}' in this database: the page and the API list them"
            raise SettingsError(msg)
        wanted = CandidateFilter(
            stream=None if row is None else row.name,
            reason=reason,
            alert_id=alert,
            since_ms=since_ms,
            until_ms=until_ms,
        )
        file = exports.spooled(format, candidates.every(connection, wanted))
    if output is None:
        sys.stdout.buffer.writelines(exports.chunks(file))
        return
    with output.open("wb") as target:
        size = sum(target.write(chunk) for chunk in exports.chunks(file))
    err.print(f"{output}: {size} bytes")
