"""Commands and exit codes.

0 done, 1 unexpected, 2 a setting or file is wrong, 3 the source cannot be read, 4 stopped
because too many inputs are no records, 5 the database (or the disk) cannot be used,
6 the address to listen on is taken.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service import __version__, logs
from tidegauge_service.cli import (
    backfill,
    candidates,
    config,
    dashboards,
    db,
    dead_letters,
    demo,
    doctor,
    replay,
    run,
    streams,
)
from tidegauge_service.cli.baseline import commands as baseline
from tidegauge_service.cli.probes import commands as probes
from tidegauge_service.cli.terminal import err, styled

BAD_DEFINITION = 2
"""Errors of probes, counts and baselines: a file or value is wrong."""

app = typer.Typer(
    name="tidegauge",
    help="Watch deployed models with the labeling functions that made their training data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:  # noqa: FBT001  (typer's callback)
    if wanted:
        typer.echo(f"tidegauge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    settings: Annotated[
        Path | None, typer.Option(help="Settings file [default: tidegauge.yaml if it exists].")
    ] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "WARNING",
    version: Annotated[  # noqa: FBT002  (typer's flags)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""
    del version
    logs.configure(log_level)
    context.obj = settings


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("consume")(run.consume)
app.command("replay")(replay.replay)
app.command("backfill")(backfill.backfill)
app.command("doctor")(doctor.doctor)
app.add_typer(baseline.app, name="baseline")
app.add_typer(probes.app, name="probes")
app.add_typer(candidates.app, name="candidates")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(streams.app, name="streams")
app.add_typer(db.app, name="db")
app.add_typer(config.app, name="config")
app.add_typer(dashboards.app, name="dashboards")


def main() -> None:
    """Run a command; errors that we know are told in words, with an exit code of their own."""
    try:
        app()
    except TidegaugeError as error:
        # A log on a full disk takes no message; the exit code must be right all the more.
        with suppress(OSError):
            err.print(styled("error:", "bold red"), str(error), soft_wrap=True)
        sys.exit(getattr(error, "exit_code", BAD_DEFINITION))
