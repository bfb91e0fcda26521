"""``tidegauge streams``: what became of inputs that a source does not hold any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from tidegauge_service.cli.terminal import author, find_stream, opened, out, print_json, settings_of
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest import origin
from tidegauge_service.store.ingest import decisions, origins

app = typer.Typer(help="What streams could not read, and their sources.", no_args_is_help=True)

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


@app.command()
def reset(
    context: typer.Context,
    stream: Name,
    yes: Annotated[  # noqa: FBT002
        bool, typer.Option("--yes", help="Do it; without this the command only says what it would.")
    ] = False,
) -> None:
    """Let a stream begin another source from its start; what was counted stays.

    Stop the stream's workers first.
    """
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream)
        with database.read() as connection:
            text = origins.of_stream(connection, row.id)
            positions = origins.positions(connection, row.id)
        source = str(origin.decode(text)) if text else "a source that was not kept"
        if not yes:
            out.print("A reset would do this:")
        _say_reset(row.name, source, positions)
        if not yes:
            out.print(
                "Nothing was changed. Stop the stream's workers, then run it again with --yes"
            )
            return
        with database.write() as connection:
            origins.reset(connection, row, now_ms())
    out.print(f"done: the next `tidegauge run` of '{row.name}' begins its source", highlight=False)


def _say_reset(name: str, source: str, positions: Sequence[origins.Position]) -> None:
    read = sum(p.next_offset for p in positions)
    unread = sum(max(0, (p.end_offset or 0) - p.next_offset) for p in positions)
    out.print(
        f"'{name}' was read from {source}: {len(positions)} partitions, {read} offsets. At least "
        f"{unread} inputs were not read, and will not be.\n"
        "Its positions are put aside, under partition numbers below -1. The next `tidegauge run` "
        "begins the source of its stream file where that says: a topic at `source.start`, files "
        "at their first row.\n"
        "Windows, alerts, candidates, baselines and dead letters stay. Records that are read a "
        "second time count a second time; those of closed windows are counted as late.",
        highlight=False,
    )
