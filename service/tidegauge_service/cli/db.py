"""``tidegauge db``: the database's tables, and copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tidegauge_service.cli.console.database import opened
from tidegauge_service.cli.console.terminal import out, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.jobs.retention import Pruner
from tidegauge_service.store import backup as copies
from tidegauge_service.store.engine import Database

app = typer.Typer(help="Upgrade, back up, restore and prune the database.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Create the tables, or upgrade them to this version of tidegauge."""
    with opened(settings_of(context), upgrade=True) as database:
        out.print(f"database at revision {database.version()[0]}")


Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file or database.")]


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write the backup to.")],
    force: Force = False,  # noqa: FBT002
) -> None:
    """Back up an SQLite database to a file. Streams can keep running."""
    with _unopened(context) as database:
        revision = copies.backup(database, file, force=force)
    size = file.stat().st_size
    out.print(f"{file}: {size:,} bytes, revision {revision}", markup=False, highlight=False)


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Backup written by `tidegauge db backup`.")],
    force: Force = False,  # noqa: FBT002
) -> None:
    """Restore the SQLite database from a backup. Stop every process that uses it first."""
    with _unopened(context) as database:
        revision = copies.restore(database, file, force=force)
        where = database.url.database
    out.print(f"{where}: restored, revision {revision}", markup=False, highlight=False)


@contextmanager
def _unopened(context: typer.Context) -> Iterator[Database]:
    """Give the database without an upgrade: before one is when people want a backup."""
    database = Database(settings_of(context).database.get_secret_value())
    try:
        yield database
    finally:
        database.close()


@app.command()
def prune(
    context: typer.Context,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
) -> None:
    """Delete rows that exceed `retention` in the settings, as `tidegauge run` does regularly."""
    settings = settings_of(context)
    with opened(settings) as database:
        removed = Pruner(database, settings.retention, now_ms).prune(dry_run=dry_run)
    if not removed:
        out.print("nothing to remove")
        return
    table = Table("stream", "table", "rows to remove" if dry_run else "rows removed", "bytes")
    for found in removed:
        table.add_row(found.stream, found.table, str(found.rows), str(found.bytes))
    out.print(table)
