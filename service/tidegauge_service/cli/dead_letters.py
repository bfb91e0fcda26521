"""``tidegauge dead-letters``: what could not be a record, and what to do about it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tidegauge_probes import load
from tidegauge_service.candidates.export import as_text
from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.options import one_of
from tidegauge_service.cli.console.terminal import (
    err,
    moment,
    out,
    print_json,
    settings_of,
    table,
)
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.replay import Replay
from tidegauge_service.store import registration
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow

app = typer.Typer(
    help="Inspect, replay and drop inputs that could not be read as records.", no_args_is_help=True
)

SHOWN = 60
"""Characters of a payload in a list."""

Name = Annotated[str, typer.Argument(metavar="STREAM", help="Stream name or stream file.")]
OfReason = Annotated[
    DeadLetterReason | None, one_of(DeadLetterReason, "--reason", "Only this reason.")
]
Before = Annotated[
    str | None, typer.Option(help="Only those received before this time (ISO 8601).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_(
    context: typer.Context,
    stream: Name,
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of dead letters to list.")] = 20,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show counts by reason, and the newest dead letters."""
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream)
        tallies = dead_letters.tallies(connection, row)
        found = dead_letters.page(connection, row, DeadLetterFilter(reason), limit=limit)
    if as_json:
        counts = {t.reason: {k: v for k, v in asdict(t).items() if k != "reason"} for t in tallies}
        places = [[kept.letter.partition, kept.letter.offset] for kept in found]
        print_json({"stream": row.name, "counts": counts, "newest": places})
        return
    counted = Table("reason", "received", "kept", "replayed")
    for t in tallies:
        counted.add_row(t.reason, str(t.received), str(t.kept), str(t.replayed))
    newest = table("partition", "offset", "received", last="reason, payload")
    for kept in found:
        letter = kept.letter
        where = (str(letter.partition), str(letter.offset), to_iso(kept.received_ms))
        shown = repr(letter.payload[:SHOWN])[2:-1]
        size = f"{letter.size} byte{'' if letter.size == 1 else 's'}"
        newest.add_row(*where, f"{letter.reason}: {letter.detail}\n{size}: {shown}")
    out.print(counted)
    out.print(newest)


@app.command()
def show(
    context: typer.Context,
    stream: Name,
    partition: Annotated[int, typer.Argument(help="Partition, as shown by `list`.")],
    offset: Annotated[int, typer.Argument(help="Offset, as shown by `list`.")],
    raw: Annotated[  # noqa: FBT002
        bool, typer.Option("--raw", help="Write only the payload bytes that were kept.")
    ] = False,
) -> None:
    """Show one dead letter with everything that was kept of it."""
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream)
        kept = dead_letters.find(connection, row, partition, offset)
    if kept is None:
        msg = f"'{row.name}' has no dead letter at partition {partition}, offset {offset}: see "
        msg += "`tidegauge dead-letters list`"
        raise SettingsError(msg)
    letter = kept.letter
    if raw:
        sys.stdout.buffer.write(letter.payload)
        return
    encoding, data = as_text(letter.payload, complete=len(letter.payload) == letter.size)
    facts = {"reason": letter.reason, "detail": letter.detail, "received": to_iso(kept.received_ms)}
    sizes = {"size": letter.size, "kept_bytes": len(letter.payload)}
    print_json(facts | sizes | {"encoding": encoding, "payload": data})


@app.command()
def replay(
    context: typer.Context,
    stream: Annotated[Path, typer.Argument(help="The stream file, with the problem fixed.")],
    reason: OfReason = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Count dead letters that can now be read as records, each exactly once.

    They count in the window of their event time, or as late if it is closed. Workers can keep
    running, and so can another replay.
    """
    config = load_stream(stream)
    probe_set = load(config.probes, Path(config.folder))
    owner = f"replay:{socket.gethostname()}:{os.getpid()}"
    settings = settings_of(context)
    codec = open_codec(config, settings, now_ms)
    with opened(settings) as database:
        with database.write() as connection:
            find_stream(connection, config.name)
            row = registration.register(connection, config, probe_set, now_ms())
        scope = StreamScope(config, row, database, now_ms, settings.url or "")
        job = Replay(scope, probe_set, owner=owner, codec=codec)
        outcome = job.run(DeadLetterFilter(reason))
    if as_json:
        done = {"counted": outcome.counted, "late": outcome.late, "left": dict(outcome.left)}
        done["sent_again"] = outcome.sent_again
        print_json({"stream": row.name, **done})
        return
    out.print(f"{outcome.counted} counted, {outcome.late} of them late", highlight=False)
    for why, n in sorted(outcome.left.items()):
        out.print(f"  {n} still cannot be read as records: {why}", highlight=False)
    if outcome.sent_again:
        out.print(
            f"  {outcome.sent_again} not counted: an event with the same id was sent after it",
            highlight=False,
        )


@app.command()
def drop(
    context: typer.Context,
    stream: Name,
    reason: OfReason = None,
    before: Before = None,
    everything: Annotated[  # noqa: FBT002
        bool, typer.Option("--all", help="Drop every dead letter of the stream.")
    ] = False,
) -> None:
    """Delete dead letters. Their counts are kept."""
    if not everything and reason is None and before is None:
        msg = "choose what to drop: give --reason, --before or --all"
        raise SettingsError(msg)
    wanted = DeadLetterFilter(reason, moment(before, "--before"))
    with opened(settings_of(context)) as database:
        with database.read() as connection:
            row = find_stream(connection, stream)
        dropped = sum(_drops(database, row, wanted))
    err.print(f"{dropped} dropped", highlight=False)


def _drops(database: Database, stream: StreamRow, wanted: DeadLetterFilter) -> Iterator[int]:
    """Drop in one transaction after another, each a short one: workers wait for the lock."""
    dropped = dead_letters.DROPPED_AT_ONCE
    while dropped == dead_letters.DROPPED_AT_ONCE:
        with database.write() as connection:
            dropped = dead_letters.drop(connection, stream, wanted)
        yield dropped
