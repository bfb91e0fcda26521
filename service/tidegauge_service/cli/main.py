"""Commands and exit codes.

0 done, 1 unexpected, 2 a setting or file is wrong, 3 the source cannot be read, 4 stopped
because too many inputs cannot be read as records, 5 the database (or the disk) cannot be
used, 6 the address to listen on is in use.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_probes.errors import TidegaugeError
from tidegauge_service import __version__
from tidegauge_service.cli.console.lazy import LazyCommand, lazy_group
from tidegauge_service.cli.console.own_process import OWN_PROCESS
from tidegauge_service.errors import exit_code_of

COMMANDS = (
    LazyCommand(
        "demo",
        "demo:demo",
        "Show LFs watching a spam filter's traffic until the traffic changes.",
    ),
    LazyCommand(
        "run",
        "run:run",
        "Watch streams: consume, evaluate, alert, and serve the page, API and metrics.",
    ),
    LazyCommand(
        "consume",
        "run:consume",
        "Watch a stream without serving the page, API or metrics.",
    ),
    LazyCommand(
        "plan",
        "plan:plan",
        "Show which shifts a stream will find, how soon, and how many false incidents to expect.",
        calls_lfs=True,
    ),
    LazyCommand(
        "replay",
        "replay:replay",
        "Run history through the live pipeline to see which alerts it would have raised.",
        calls_lfs=True,
    ),
    LazyCommand(
        "backfill",
        "backfill:backfill",
        "Load the history of a Kafka or log stream from files, before its windows close.",
        calls_lfs=True,
    ),
    LazyCommand(
        "doctor",
        "doctor.command:doctor",
        "Check settings, clock, database, receivers, codecs and streams.",
        calls_lfs=True,
    ),
    LazyCommand(
        "baseline",
        "baseline.commands:app",
        "Fit, list and accept the baselines that windows are compared with.",
        calls_lfs=True,
    ),
    LazyCommand(
        "probes",
        "probes.commands:app",
        "Check, deploy and compare labeling functions.",
        calls_lfs=True,
    ),
    LazyCommand("candidates", "candidates:app", "Export retraining candidates."),
    LazyCommand(
        "dead-letters",
        "dead_letters:app",
        "Inspect, replay and drop inputs that could not be read as records.",
        calls_lfs=True,
    ),
    LazyCommand(
        "streams",
        "streams:app",
        "Manage gaps in the source of a stream, and switch to another source.",
    ),
    LazyCommand("receivers", "receivers:app", "Send a test message to a receiver."),
    LazyCommand("db", "db:app", "Upgrade, back up, restore and prune the database."),
    LazyCommand("config", "config:app", "Print the schemas of the configuration files."),
    LazyCommand("dashboards", "dashboards:app", "Export Grafana dashboards and Prometheus rules."),
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


_LOG_LEVEL = (
    "DEBUG, INFO, WARNING or ERROR. `run` and `consume` use the setting `log_level` instead."
)


def _version(wanted: bool) -> None:  # noqa: FBT001  (typer's callback)
    if wanted:
        typer.echo(f"tidegauge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    settings: Annotated[
        Path | None, typer.Option(help="Settings file (default: tidegauge.yaml, if it exists)")
    ] = None,
    log_level: Annotated[str, typer.Option(help=_LOG_LEVEL)] = "WARNING",
    version: Annotated[  # noqa: FBT002  (typer's flags)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that precede every command."""
    del version
    from tidegauge_service import logs  # noqa: PLC0415  (only where a command runs)

    logs.configure(log_level)
    context.obj = settings


def main() -> None:
    """Run a command; print known errors as one message, and exit with their code."""
    OWN_PROCESS.allowed = True
    try:
        app()
    except TidegaugeError as error:
        # A log on a full disk takes no message; the exit code must be right all the more.
        with suppress(OSError):
            from tidegauge_service.cli.console.terminal import err, styled  # noqa: PLC0415

            err.print(styled("error:", "bold red"), str(error), soft_wrap=True)
        sys.exit(exit_code_of(error))
    finally:
        OWN_PROCESS.allowed = False
