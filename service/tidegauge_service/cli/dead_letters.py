"""``tidegauge dead-letters``: what could not be a record, and what to do about it."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tidegauge_probes import load
from tidegauge_service.candidates.export import as_text
from tidegauge_service.cli.terminal import (
    err,
    find_stream,
    moment,
    opened,
    out,
    print_json,
    settings_of,
)
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.replay import Replay
from tidegauge_service.ingest.sources.registry import open_codec
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.scope import StreamScope

app = typer.Typer(help="Inputs that could not be records.", no_args_is_help=True)

SHOWN = 60
"""Characters of a payload in a list."""

Name = Annotated[str, typer.Argument(metavar="STREAM", help="Name of the stream, or its file.")]
OfReason = Annotated[DeadLetterReason | None, typer.Option("--reason", help="Only of this reason.")]
Before = Annotated[str | None, typer.Option(help="Only received before this (ISO-8601).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command("list")
def list_(
    context: typer.Context,
    stream: Name,
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, help="Most letters to show.")] = 20,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show how many there were and are by reason, and the newest of them."""
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream)
        tallies = dead_letters.tallies(database, row)
        found = dead_letters.page(database, row, DeadLetterFilter(reason), limit=limit)
    if as_json:
        counts = {t.reason: {k: v for k, v in asdict(t).items() if k != "reason"} for t in tallies}
        places = [[kept.letter.partition, kept.letter.offset] for kept in found]
        print_json({"stream": row.name, "counts": counts, "newest": places})
        return
    counted = Table("reason", "received", "kept", "replayed")
    for t in tallies:
        counted.add_row(t.reason, str(t.received), str(t.kept), str(t.replayed))
    newest = Table("partition", "offset", "received", "reason", "bytes", "payload")
    for kept in found:
        letter = kept.letter
        where = (str(letter.partition), str(letter.offset), to_iso(kept.received_ms))
        shown = repr(letter.payload[:SHOWN])[2:-1]
        newest.add_row(*where, letter.reason, str(letter.size), shown)
    out.print(counted)
    out.print(newest)


@app.command()
def show(
    context: typer.Context,
    stream: Name,
    partition: Annotated[int, typer.Argument(help="As `list` shows it.")],
    offset: Annotated[int, typer.Argument(help="As `list` shows it.")],
    raw: Annotated[  # noqa: FBT002
        bool, typer.Option("--raw", help="Write the bytes that were kept, and nothing else.")
    ] = False,
) -> None:
    """Show one with all that was kept of it."""
    with opened(settings_of(context)) as database:
        row = find_stream(database, stream)
        kept = dead_letters.find(database, row, partition, offset)
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
    stream: Annotated[Path, typer.Argument(help="The stream file, with what was wrong mended.")],
    reason: OfReason = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Count those that are records by now, each once: in their window, or as late.

    Workers may go on meanwhile, and so may another replay.
    """
    config = load_stream(stream)
    probe_set = load(config.probes, Path(config.folder))
    owner = f"replay:{socket.gethostname()}:{os.getpid()}"
    settings = settings_of(context)
    codec = open_codec(config, settings, now_ms)
    with opened(settings) as database:
        find_stream(database, config.name)
        row = streams.register(database, config, probe_set, now_ms())
        scope = StreamScope(config, row, database, now_ms)
        job = Replay(scope, probe_set, owner=owner, codec=codec)
        outcome = job.run(DeadLetterFilter(reason))
    if as_json:
        done = {"counted": outcome.counted, "late": outcome.late, "left": dict(outcome.left)}
        print_json({"stream": row.name, **done})
        return
    out.print(f"{outcome.counted} counted, {outcome.late} of them late", highlight=False)
    for why, n in sorted(outcome.left.items()):
        out.print(f"  {n} are no records still: {why}", highlight=False)


@app.command()
def drop(
    context: typer.Context,
    stream: Name,
    reason: OfReason = None,
    before: Before = None,
    everything: Annotated[  # noqa: FBT002
        bool, typer.Option("--all", help="Of every reason and age.")
    ] = False,
) -> None:
    """Forget them; their counts stay."""
    if not everything and reason is None and before is None:
        msg = "say which: --reason, --before or --all"
        raise SettingsError(msg)
    wanted = DeadLetterFilter(reason, moment(before, "--before"))
    with opened(settings_of(context)) as database:
        dropped = dead_letters.drop(database, find_stream(database, stream), wanted)
    err.print(f"{dropped} dropped", highlight=False)
