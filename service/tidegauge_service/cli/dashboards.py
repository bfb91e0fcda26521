"""``tidegauge dashboards``: Grafana dashboards and Prometheus rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tidegauge_dashboards
from tidegauge_service.cli.console.terminal import out

app = typer.Typer(help="Export Grafana dashboards and Prometheus rules.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `export` a subcommand."""


@app.command()
def export(folder: Annotated[Path, typer.Argument(help="Folder to write to.")]) -> None:
    """Write dashboards, provisioning files and rules to a folder."""
    for path in tidegauge_dashboards.export(folder):
        out.print(str(path))
