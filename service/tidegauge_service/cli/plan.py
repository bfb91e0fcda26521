"""``tidegauge plan``: what a stream will find, and how often it will err, before it is live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegauge_probes import load
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS, Baseline
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.baselines.lookup import find_baseline
from tidegauge_service.baselines.source_windows import SourceBaseline, fit_source
from tidegauge_service.cli.console.database import find_stream, opened
from tidegauge_service.cli.console.plan_text import show
from tidegauge_service.cli.console.terminal import print_json, progress, settings_of
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.reports.plan import facts, make_plan
from tidegauge_service.store import baselines, streams
from tidegauge_service.store.engine import Database


def plan(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Stream file or stream name.")],
    baseline: Annotated[
        str | None,
        typer.Option(help="Baseline name or id (default: the one that the stream uses)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Show which shifts a stream will find, how soon, and how many false incidents to expect.

    Uses the baseline in the database. If there is none yet, fits the one of the stream file, from
    the files of its source. Nothing is stored.
    """
    settings = settings_of(context)
    with opened(settings) as database:
        config, found = _chosen(stream, baseline, settings, database)
    made = make_plan(config, found.baseline, found.finest)
    if as_json:
        print_json(facts(made))
    else:
        show(made)


def _chosen(
    stream: str, named: str | None, settings: Settings, database: Database
) -> tuple[StreamConfig, SourceBaseline]:
    """Return the configuration of a stream and its baseline, which has windows."""
    file = Path(stream)
    if file.suffix not in {".yaml", ".yml"}:
        config, found = _of_name(stream, named, database)
        if found is None or not len(found.starts):
            raise BaselineError(_nothing_to_plan_from(config, found))
        return config, _alone(found, config)
    config = load_stream(file)
    probe_set = load(config.probes, Path(config.folder))
    found = _of_file(config, probe_set, named, database)
    if found is not None and len(found.starts):
        return config, _alone(found, config)
    if config.source.kind != "file":
        other = _other_live(config, probe_set, database)
        raise BaselineError(other or _nothing_to_plan_from(config, found))
    with progress("records") as advance:
        codec = open_codec(config, settings, now_ms)
        return config, fit_source(config, probe_set, codec, advance)


def _alone(found: Baseline, config: StreamConfig) -> SourceBaseline:
    """Return a baseline of which no shorter windows are known."""
    in_time = found.in_time(config.civil)
    return SourceBaseline(in_time, in_time)


def _of_name(
    name: str, named: str | None, database: Database
) -> tuple[StreamConfig, Baseline | None]:
    """Return what the database has of a stream: its configuration and its baseline."""
    with database.read() as connection:
        row = find_stream(connection, name)
        config = streams.config_of(connection, row.id)
        if named is not None:
            found: Baseline | None = baselines.find(connection, named)
        else:
            found = None if row.baseline is None else baselines.load(connection, row.baseline)
    if found is not None:
        baselines.check(found, stream=name, probe_set=row.probe_set, window_ms=row.window_ms)
    return config, found


def _of_file(
    config: StreamConfig, probe_set: ProbeSet, named: str | None, database: Database
) -> Baseline | None:
    """Return the baseline that is named, or used, or that the file says; None for a range of it."""
    if named is not None:
        with database.read() as connection:
            found = baselines.find(connection, named)
        baselines.check(found, stream=config.name, probe_set=probe_set.id, window_ms=config.window)
        return found
    used = _used(config, probe_set.id, database)
    if used is not None:
        return used
    with progress("training records") as advance:
        return find_baseline(config, probe_set, database, now_ms, advance)


def _used(config: StreamConfig, probe_set: str, database: Database) -> Baseline | None:
    """Return the baseline in use, if it is of the file's LFs and windows."""
    with database.read() as connection:
        row = streams.find(connection, config.name)
        if row is None or row.baseline is None or row.window_ms != config.window:
            return None
        found = baselines.load(connection, row.baseline)
    return found if found.probe_set == probe_set else None


def _other_live(config: StreamConfig, probe_set: ProbeSet, database: Database) -> str | None:
    """Say that the LFs of the file are not live, if that is why they have no baseline."""
    with database.read() as connection:
        row = streams.find(connection, config.name)
    if row is None or row.probe_set == probe_set.id:
        return None
    return (
        f"ProbeSet {probe_set.id} of {config.file} is not live and has no baseline; ProbeSet "
        f"{row.probe_set} is live. To plan with that one: `tidegauge plan {config.name}`. To plan "
        f"with the file's LFs, fit a baseline: `tidegauge baseline fit {config.file} --name NAME "
        "--records FILE`, and add `--baseline NAME` to this command"
    )


def _nothing_to_plan_from(config: StreamConfig, found: Baseline | None) -> str:
    """Say why there are no windows to plan from, and how to get some."""
    fit = (
        "fit one from records with times, `tidegauge baseline fit STREAM_FILE --name NAME "
        "--records FILE`, and add `--baseline NAME` to this command"
    )
    if found is not None:
        return (
            f"baseline {found.id} of stream '{config.name}' has no windows: a vote matrix has no "
            "times, so it cannot tell how much traffic varies. Plan again once the stream has "
            f"learned from {LEARNING_WINDOWS} live windows, or {fit}"
        )
    return (
        f"stream '{config.name}' has no baseline yet: it is fitted once the stream has passed its "
        f"range. Plan again then, or {fit}"
    )
