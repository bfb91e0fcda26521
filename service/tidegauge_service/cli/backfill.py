"""``tidegauge backfill``: records of the past, before the stream is live."""

from __future__ import annotations

import gc
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.terminal import out, print_json, progress, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.runtime import backfill as history
from tidegauge_service.store.ingest import backfills


def backfill(
    context: typer.Context,
    stream: Annotated[Path, typer.Argument(help="The stream file.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of records: JSON, JSONL, CSV, TSV or Parquet."),
    ] = None,
    late: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--late", help="Count records of closed windows as late, instead of refusing the file."
        ),
    ] = False,
    abandon: Annotated[  # noqa: FBT002
        bool, typer.Option("--abandon", help="Stop reading files that were not finished.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Load the history of a Kafka or log stream from files, before its windows close.

    Each record is counted once. If the command is interrupted, run it again to resume.
    """
    if abandon == bool(files):
        msg = "give either the files to read or --abandon"
        raise SettingsError(msg)
    if abandon:
        _abandon(context, stream)
        return
    settings, config = settings_of(context), load_stream(stream)
    with opened(settings) as database, progress("records") as advance:
        gc.freeze()  # as in worker_process
        done = history.backfill(
            config, settings, database, now_ms, files or (), advance=advance, late=late
        )
    if as_json:
        print_json(asdict(done))
        return
    for file in done.files:
        again = " (by an earlier run)" if file.name in done.before else ""
        out.print(
            f"{file.name}: {file.records:,} records counted, {file.late:,} of them late{again}",
            highlight=False,
            markup=False,
        )


def _abandon(context: typer.Context, stream: Path) -> None:
    with opened(settings_of(context)) as database, database.write() as connection:
        row = find_stream(connection, str(stream))
        left = backfills.abandon(connection, row.id)
    if not left:
        msg = f"every file of '{row.name}' was read to its end: there is nothing to abandon"
        raise SettingsError(msg)
    for file in left:
        out.print(
            f"{file.name}: {file.records:,} records stay counted; the rest will not be read",
            highlight=False,
            markup=False,
        )
