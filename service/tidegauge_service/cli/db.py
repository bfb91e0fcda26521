"""``tidegauge db``: the database's tables."""

from __future__ import annotations

import typer

from tidegauge_service.cli.terminal import opened, out, settings_of

app = typer.Typer(help="The database's tables.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `upgrade` a subcommand."""


@app.command()
def upgrade(context: typer.Context) -> None:
    """Create the tables, or bring them to this version's shape."""
    with opened(settings_of(context), upgrade=True) as database:
        out.print(f"database at revision {database.version()[0]}")
