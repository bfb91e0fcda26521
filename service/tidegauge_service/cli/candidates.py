"""``tidegauge candidates``: take retraining candidates away."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_service.candidates import export as exports
from tidegauge_service.candidates.proposal import ProposalReason
from tidegauge_service.cli.options import OptionsOnly
from tidegauge_service.cli.terminal import err, find_stream, opened, settings_of, span
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import candidates
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.candidates import CandidateFilter

app = typer.Typer(help="Retraining candidates.", no_args_is_help=True)


class ExportFormat(StrEnum):
    """How to write them."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


@app.callback()
def group() -> None:
    """Keep `export` a subcommand."""


@app.command(cls=OptionsOnly)
def export(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="File to write [default: stdout].")] = None,
    format: Annotated[ExportFormat, typer.Option(help="How to write them.")] = ExportFormat.NDJSON,  # noqa: A002
    stream: Annotated[
        str | None, typer.Option(help="Only of this stream: its name, or its file.")
    ] = None,
    reason: Annotated[
        ProposalReason | None, typer.Option(help="Only proposed for this reason.")
    ] = None,
    alert: Annotated[str | None, typer.Option(help="Only asked for by this alert.")] = None,
    since: Annotated[str | None, typer.Option(help="ISO-8601, inclusive.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO-8601, exclusive.")] = None,
) -> None:
    """Write candidates as NDJSON, CSV or Parquet."""
    since_ms, until_ms = span(since, until)
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream) if stream is not None else None
        if alert is not None and alerts.get(database, alert) is None:
            msg = f"there is no alert '{alert}' in this database: the page and the API list them"
            raise SettingsError(msg)
        wanted = CandidateFilter(
            stream=None if row is None else row.name,
            reason=reason,
            alert_id=alert,
            since_ms=since_ms,
            until_ms=until_ms,
        )
        found = (c for page in candidates.pages(database, wanted) for c in page)
        chunks = {
            ExportFormat.NDJSON: exports.ndjson,
            ExportFormat.CSV: exports.csv,
            ExportFormat.PARQUET: exports.parquet,
        }[format](found)
        if output is None:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        with output.open("wb") as file:
            size = sum(file.write(chunk) for chunk in chunks)
    err.print(f"{output}: {size} bytes")
