"""``tidegauge streams``: gaps in a source, and a switch to another source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from tidegauge_service.cli.console.database import author, find_stream, opened
from tidegauge_service.cli.console.terminal import counted, out, print_json, settings_of, table
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import decisions, origins
from tidegauge_service.store.streams import CLOSED

app = typer.Typer(
    help="Manage gaps in the source of a stream, and switch to another source.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="STREAM", help="Stream name or stream file.")]


@app.command()
def gaps(
    context: typer.Context,
    stream: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """List gaps: inputs the source no longer had, and how each gap was resolved."""
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream)
        found = decisions.of_stream(connection, row.id)
    if as_json:
        print_json({"stream": row.name, "gaps": [asdict(d) for d in found]})
        return
    shown = table("partition, cause", "offsets", "found", last="decided by")
    for d in found:
        by = d.decided_by or "pending: run `accept-gap`"
        shown.add_row(f"{d.partition}\n{d.cause}", _offsets(d), to_iso(d.detected_ms), by)
    out.print(shown)


def _offsets(gap: decisions.Decision) -> str:
    """Say what was skipped; a file that was rewritten or truncated starts again instead."""
    if gap.to_offset < gap.from_offset:
        unread = f"\n{gap.lost} never read" if gap.lost else ""
        return f"read to {gap.from_offset}\nagain from {gap.to_offset}{unread}"
    return f"{gap.from_offset}\nto {gap.to_offset}\n{gap.lost} never read"


@app.command("accept-gap")
def accept_gap(
    context: typer.Context,
    stream: Name,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Only this partition (default: all that are waiting)")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Name to record for the decision (default: your login)")
    ] = None,
) -> None:
    """Accept lost inputs, so that partitions held by a gap resume within seconds."""
    who = author(by)
    with opened(settings_of(context)) as database, database.write() as connection:
        row = find_stream(connection, stream)
        accepted = decisions.accept(connection, row, partition, who.name, who.now_ms)
    if not accepted:
        msg = f"'{row.name}' has no gap to accept: see `tidegauge streams gaps {row.name}`"
        raise SettingsError(msg)
    for d in accepted:
        out.print(
            f"partition {d.partition} resumes at {d.to_offset}: {d.lost} inputs lost "
            f"({d.cause}), accepted by {who.name}",
            highlight=False,
        )


@app.command()
def reset(
    context: typer.Context,
    stream: Name,
    yes: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--yes", help="Reset the stream; without this, only show what would happen."),
    ] = False,
) -> None:
    """Make a stream read a new source from the beginning. Existing counts are kept.

    Stop the stream's workers first.
    """
    with opened(settings_of(context)) as database:
        with database.read() as connection:
            row = find_stream(connection, stream)
            text = origins.of_stream(connection, row.id)
            positions = origins.positions(connection, row.id)
            closed = streams.cursor(connection, row.id, CLOSED)
        source = str(origin.decode(text)) if text else "an unknown source"
        if not yes:
            out.print("A reset would do this:")
        out.print(_reset_words(row.name, source, positions, closed), highlight=False)
        if not yes:
            out.print(
                "Nothing was changed. Stop the stream's workers, then run it again with --yes"
            )
            return
        with database.write() as connection:
            origins.reset(connection, row, now_ms())
    out.print(
        f"done: the next `tidegauge run` of '{row.name}' reads its source from the beginning",
        highlight=False,
    )


def _reset_words(
    name: str, source: str, positions: Sequence[origins.Position], closed: int | None
) -> str:
    """Say what a reset does; *closed*: the end of the last closed window."""
    read = sum(p.next_offset for p in positions)
    return (
        f"'{name}' was read from {source}: {counted(len(positions), 'partition')}, "
        f"{counted(read, 'offset')}. {_unread(positions)}\n"
        "Its positions move to partition numbers below -1. The next `tidegauge run` starts the "
        "source in its stream file from the beginning: a topic at `source.start`, files at their "
        "first row.\n"
        "Windows, alerts, candidates, baselines and dead letters are kept. "
        f"{_again(positions, closed)}"
    )


def _unread(positions: Sequence[origins.Position]) -> str:
    known = [p.unread for p in positions if p.unread is not None]
    if sum(known):
        return f"At least {counted(sum(known), 'input')} of it will never be read."
    if len(known) < len(positions):
        return "Inputs of it that have not been read never will be."
    return "All inputs of the old source have been read."


def _again(positions: Sequence[origins.Position], closed: int | None) -> str:
    """Say what becomes of records that are read again."""
    latest = max((p.latest_event_ms or 0 for p in positions), default=0)
    if closed is not None and latest < closed:
        return (
            "All windows up to the newest record are closed, so records that are read again will "
            "all be late and not counted."
        )
    return "Records that are read again are counted again, or as late if their window is closed."
