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
from tidegauge_service import __version__
from tidegauge_service.cli.lazy import LazyCommand, lazy_group
from tidegauge_service.errors import exit_code_of

COMMANDS = (
    LazyCommand(
        "demo",
        "demo:demo",
        "Show the main job: LFs watch a spam filter's traffic until the world changes.",
    ),
    LazyCommand(
        "run",
        "run:run",
        "Watch streams: consume, judge, alert, and serve the page, the API and the metrics.",
    ),
    LazyCommand(
        "consume",
        "run:consume",
        "Watch a stream without page, API and metrics: consume, judge and alert.",
    ),
    LazyCommand(
        "replay",
        "replay:replay",
        "Run history through the pipeline of the live stream, as fast as it goes.",
    ),
    LazyCommand(
        "backfill",
        "backfill:backfill",
        "Read the history of a Kafka or log stream from files, before its windows close.",
    ),
    LazyCommand(
        "doctor",
        "doctor:doctor",
        "Check settings, clock, database, codecs, and the LFs and source of streams.",
    ),
    LazyCommand("baseline", "baseline.commands:app", "Frozen references to compare with."),
    LazyCommand("probes", "probes.commands:app", "Labeling functions."),
    LazyCommand("candidates", "candidates:app", "Retraining candidates."),
    LazyCommand("dead-letters", "dead_letters:app", "Inputs that could not be records."),
    LazyCommand("streams", "streams:app", "What streams could not read, and their sources."),
    LazyCommand("db", "db:app", "The database's tables, and copies of it."),
    LazyCommand("config", "config:app", "What the configuration files may hold."),
    LazyCommand("dashboards", "dashboards:app", "Grafana dashboards and Prometheus rules."),
)

app = typer.Typer(
    name="tidegauge",
    cls=lazy_group(*COMMANDS),
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
    from tidegauge_service import logs  # noqa: PLC0415  (only where a command runs)

    logs.configure(log_level)
    context.obj = settings


def main() -> None:
    """Run a command; errors that we know are told in words, with an exit code of their own."""
    try:
        app()
    except TidegaugeError as error:
        # A log on a full disk takes no message; the exit code must be right all the more.
        with suppress(OSError):
            from tidegauge_service.cli.terminal import err, styled  # noqa: PLC0415

            err.print(styled("error:", "bold red"), str(error), soft_wrap=True)
        sys.exit(exit_code_of(error))
