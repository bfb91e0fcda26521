"""``tidegauge config``: the schemas of the configuration files."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from tidegauge_service.cli.console.options import argument_of
from tidegauge_service.config import settings, stream_file

app = typer.Typer(help="Print the schemas of the configuration files.", no_args_is_help=True)


class File(StrEnum):
    """A kind of file."""

    STREAM = "stream"
    SETTINGS = "settings"


@app.callback()
def group() -> None:
    """Keep `schema` a subcommand."""


@app.command()
def schema(
    file: Annotated[File, argument_of(File, "config schema", "Kind of file.")] = File.STREAM,
) -> None:
    """Print the JSON Schema of a stream file or the settings; `probes schema` has a ProbeSet's."""
    schemas = {File.STREAM: stream_file.schema, File.SETTINGS: settings.schema}
    typer.echo(json.dumps(schemas[file](), indent=2))
