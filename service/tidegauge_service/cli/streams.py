"""``tidegauge streams``: what became of inputs that a source does not hold any more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from tidegauge_service.cli.terminal import author, find_stream, opened, out, print_json, settings_of
from tidegauge_service.clock import to_iso
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import decisions

app = typer.Typer(help="Gaps in what a stream could read.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="STREAM", help="Name of the stream, or its file.")]


@app.command()
def gaps(
    context: typer.Context,
    stream: Name,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Show where the source did not hold what came next, and what was decided."""
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream)
        with database.read() as connection:
            found = decisions.of_stream(connection, row.id)
    if as_json:
        print_json({"stream": row.name, "gaps": [asdict(d) for d in found]})
        return
    table = Table("partition", "cause", "from", "to", "never read", "found", "decided by")
    for d in found:
        numbers = (str(d.from_offset), str(d.to_offset), str(d.lost))
        by = d.decided_by or "nobody: it waits for `accept-gap`"
        table.add_row(str(d.partition), d.cause, *numbers, to_iso(d.detected_ms), by)
    out.print(table)


@app.command("accept-gap")
def accept_gap(
    context: typer.Context,
    stream: Name,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Only of this partition [default: all that wait].")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who decides [default: your login].")] = None,
) -> None:
    """Let partitions go on behind what is lost; workers do so within seconds."""
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream)
        who = author(by)
        accepted = decisions.accept(database, row, partition, who.name, who.now_ms)
    if not accepted:
        msg = (
            f"no gap of '{row.name}' waits for a decision: see `tidegauge streams gaps {row.name}`"
        )
        raise SettingsError(msg)
    for d in accepted:
        out.print(
            f"partition {d.partition} goes on at {d.to_offset}: {d.lost} inputs are lost "
            f"({d.cause}), as {who.name} has decided",
            highlight=False,
        )
