"""``tidegauge db``: the database's tables."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tidegauge_service.cli.terminal import opened, out, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.jobs.retention import Pruner

app = typer.Typer(help="The database's tables.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Create the tables, or bring them to this version's shape."""
    with opened(settings_of(context), upgrade=True) as database:
        out.print(f"database at revision {database.version()[0]}")


@app.command()
def prune(
    context: typer.Context,
    dry_run: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
) -> None:
    """Remove what `retention` in the settings does not keep, as `tidegauge run` does by itself."""
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
