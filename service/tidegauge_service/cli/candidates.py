"""``tidegauge candidates``: take retraining candidates away."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_probes.errors import nearest
from tidegauge_probes.findings import ALL
from tidegauge_service.candidates import export as exports
from tidegauge_service.candidates.export import ExportFormat
from tidegauge_service.candidates.proposal import ProposalReason
from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.options import OptionsOnly, one_of
from tidegauge_service.cli.console.terminal import err, settings_of, span
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import candidates, names
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.candidates import CandidateFilter
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.states import CandidateState
from tidegauge_service.store.streams import StreamRow

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
    format: Annotated[  # noqa: A002
        ExportFormat, one_of(ExportFormat, "--format", "Output format.")
    ] = ExportFormat.NDJSON,
    stream: Annotated[
        str | None, typer.Option(help="Only this stream (name or stream file).")
    ] = None,
    reason: Annotated[
        ProposalReason | None,
        one_of(ProposalReason, "--reason", "Only candidates proposed for this reason."),
    ] = None,
    alert: Annotated[
        str | None, typer.Option(help="Only candidates proposed by this alert (id).")
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Only records in this segment, e.g. channel=mail.")
    ] = None,
    lf: Annotated[str | None, typer.Option(help="Only records that this LF voted on.")] = None,
    state: Annotated[
        CandidateState | None, one_of(CandidateState, "--state", "Only candidates in this state.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only records from this time on (ISO 8601, inclusive).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only records before this time (ISO 8601, exclusive).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of candidates to export.")
    ] = None,
) -> None:
    """Export candidates as NDJSON, CSV or Parquet."""
    since_ms, until_ms = span(since, until)
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream) if stream is not None else None
        wanted = CandidateFilter(
            stream=None if row is None else row.name,
            reason=reason,
            alert_id=alert,
            segment=segment,
            lf=lf,
            state=state,
            since_ms=since_ms,
            until_ms=until_ms,
        )
        _check(connection, row, wanted)
        file = exports.spooled(format, islice(candidates.every(connection, wanted), limit))
    if output is None:
        sys.stdout.buffer.writelines(exports.chunks(file))
        return
    with output.open("wb") as target:
        size = sum(target.write(chunk) for chunk in exports.chunks(file))
    err.print(f"{output}: {size} bytes")


def _check(connection: Connection, row: StreamRow | None, wanted: CandidateFilter) -> None:
    """SettingsError if a filter names what does not exist: the export would be empty."""
    stream = None if row is None else row.id
    if wanted.alert_id is not None and alerts.get(connection, wanted.alert_id) is None:
        msg = (
            f"there is no alert '{wanted.alert_id}' in this database: find its id on the page or "
            "in the API"
        )
        raise SettingsError(msg)
    if wanted.lf is not None and wanted.lf not in (known := names.lfs(connection, stream)):
        msg = f"there is no LF '{wanted.lf}'{nearest(wanted.lf, known)}"
        raise SettingsError(msg)
    segment = wanted.segment
    if segment not in {None, ALL} and not names.has_segment(connection, stream, segment):
        msg = (
            f"no evaluated window has the segment '{segment}'; segments are '{ALL}', "
            "FIELD=VALUE or slices"
        )
        raise SettingsError(msg)
