"""``tidegauge probes deploy``, ``shadow``, ``promote`` …: change which ProbeSet counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_service.cli.console.database import author, find_stream, opened
from tidegauge_service.cli.console.ended_files import ended_files
from tidegauge_service.cli.console.terminal import (
    out,
    print_json,
    progress,
    settings_of,
    table,
)
from tidegauge_service.clock import now_ms, to_iso
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.deployments import candidate, changes
from tidegauge_service.deployments.changes import Wanted
from tidegauge_service.store import deployment_counts, deployments, probe_sets
from tidegauge_service.store.deployments import Author, Change, Deployment
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import Role, StreamRow

File = Annotated[Path, typer.Argument(metavar="STREAM", help="The stream file.")]
Name = Annotated[str, typer.Argument(metavar="STREAM", help="Stream name or stream file.")]
Ref = Annotated[
    str | None,
    typer.Argument(
        metavar="REF",
        help="ProbeSet file, relative to the stream file, or module:attribute (default: `probes` "
        "in the stream file)",
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline", help="Baseline to compare with, by name or id (default: the stream file's)"
    ),
]
By = Annotated[str | None, typer.Option(help="Name to record for the change (default: your login)")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

DeployChange = Callable[[Database, StreamRow, Wanted, Author], Deployment]
"""Deploys a ProbeSet: ``changes.deploy`` or ``changes.shadow``."""


def _command(role: Role, change: DeployChange, summary: str) -> Callable[..., None]:
    """Return the command that deploys a ProbeSet in a role; *summary* is its help."""

    def command(
        context: typer.Context,
        stream: File,
        ref: Ref = None,
        baseline: BaselineOption = None,
        by: By = None,
        as_json: AsJson = False,  # noqa: FBT002
    ) -> None:
        config = load_stream(stream)
        with opened(settings_of(context)) as database:
            row = _find(database, config.name)
            reference = ref or config.probes
            wanted = _wanted(database, row, config, reference, baseline=baseline, role=role)
            made = change(database, row, wanted, author(by))
            _tell(database, row, made, as_json=as_json)

    command.__doc__ = summary
    return command


deploy = _command(Role.LIVE, changes.deploy, "Make a ProbeSet live from the next window on.")
shadow = _command(
    Role.SHADOW,
    changes.shadow,
    "Run a ProbeSet alongside the live one, without alerts, from the next window on.",
)


def _wanted(
    database: Database,
    row: StreamRow,
    config: StreamConfig,
    reference: str,
    *,
    baseline: str | None,
    role: Role,
) -> Wanted:
    """Load the ProbeSet, and find or fit the baseline to compare it with."""
    loaded = candidate.load_candidate(config, database, row, reference, role)
    with progress("training records") as advance:
        compared = candidate.reference_of(
            config,
            database,
            loaded.probe_set,
            now_ms,
            named=baseline,
            shadow=role == Role.SHADOW,
            fitted=advance,
        )
    return Wanted(loaded.probe_set, reference, compared, loaded.only_from_ms)


def _find(database: Database, named: str) -> StreamRow:
    """Return the stream, in its own transaction: the change starts by taking locks."""
    with database.read() as connection:
        return find_stream(connection, named)


def promote(
    context: typer.Context,
    stream: Name,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Baseline name or id (default: the shadow's, or one frozen from its windows)"
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make the shadow live from the next window on."""
    with opened(settings_of(context)) as database:
        row = _find(database, stream)
        made = changes.promote(database, row, author(by), baseline=baseline)
        _tell(database, row, made, as_json=as_json)


def rollback(
    context: typer.Context,
    stream: Name,
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Return to the previous live ProbeSet and its baseline, from the next window on."""
    with opened(settings_of(context)) as database:
        row = _find(database, stream)
        if stream.endswith((".yaml", ".yml")):
            _check_that_it_loads(database, row, Path(stream))
        made = changes.roll_back(database, row, author(by))
        _tell(database, row, made, as_json=as_json)


def _check_that_it_loads(database: Database, row: StreamRow, file: Path) -> None:
    """Raise ProbeError if the ProbeSet to roll back to can no longer be loaded."""
    with database.read() as connection:
        known = deployments.of_stream(connection, row.id)
        live = deployments.current(known, Role.LIVE)
        before = changes.previous(known, live) if live else None
        kept = probe_sets.contents_of(connection, before.probe_set) if before else None
    if before is not None:
        candidate.load_again(load_stream(file), before, kept)


def end_shadow(
    context: typer.Context,
    stream: Name,
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Stop the shadow from the next window on."""
    with opened(settings_of(context)) as database:
        row = _find(database, stream)
        ended = changes.end_shadow(database, row, author(by))
    if as_json:
        print_json({"stream": row.name, **asdict(ended)})
        return
    until = to_iso(ended.until_ms or 0)
    out.print(f"ProbeSet {ended.probe_set} stops counting at {until}", highlight=False)


def list_(context: typer.Context, stream: Name, as_json: AsJson = False) -> None:  # noqa: FBT002
    """List a stream's deployments: which ProbeSet counted which windows, and who deployed it."""
    with opened(settings_of(context)) as database, database.read() as connection:
        row = find_stream(connection, stream)
        found = deployment_counts.listing(connection, row)
    if as_json:
        print_json({"stream": row.name, "deployments": [asdict(d) for d in found]})
        return
    shown = table(
        "ProbeSet", "role", "windows from, until", last="baseline, deployed by, loaded from"
    )
    for d in found:
        since = "the first" if d.made_as == "first" else to_iso(d.from_ms)
        until = "" if d.until_ms is None else to_iso(d.until_ms)
        more = (d.baseline or "no baseline", f"{d.created_by} ({d.made_as})", d.reference)
        shown.add_row(d.probe_set, d.role, f"{since}\n{until}", "\n".join(more))
    out.print(shown)


def _tell(database: Database, row: StreamRow, made: Deployment, *, as_json: bool) -> None:
    if as_json:
        print_json({"stream": row.name, **asdict(made)})
        return
    with database.read() as connection:
        known = deployments.of_stream(connection, row.id)
    beside = (made.probe_set, made.created_ms)
    ended = [d for d in known if d.role == Role.SHADOW and (d.probe_set, d.ended_ms) == beside]
    role = "the shadow of" if made.role == Role.SHADOW else "live for"
    out.print(
        f"ProbeSet {made.probe_set} is now {role} '{row.name}', starting with the window at "
        f"{to_iso(made.from_ms)}. "
        f"{ended_files(database, row) or 'Workers switch to it with their next batch'}",
        highlight=False,
    )
    if ended and made.made_as != Change.PROMOTE:
        out.print(
            "The shadow deployment of this ProbeSet ends there, since it is live from then on",
            highlight=False,
        )
