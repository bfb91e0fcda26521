"""``tidegauge doctor``: what is wrong with this installation, and what to do."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_alerts import wording
from tidegauge_probes import load
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.terminal import out, settings_of
from tidegauge_service.errors import ServiceError, SettingsError, SourceError, StoreError
from tidegauge_service.ingest.opening import check_format, open_source
from tidegauge_service.settings import Settings
from tidegauge_service.store import sight, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.stream_config import load_stream

Check = Callable[[], str]

EARLIEST_SANE_MS = 1_577_836_800_000  # 2020-01-01: a clock before this was never set


def doctor(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Stream files to check.", metavar="[STREAMS]...")
    ] = None,
) -> None:
    """Check settings, clock, database, codecs, and the LFs and source of streams."""
    settings = settings_of(context)
    checks: list[tuple[str, Check]] = [
        ("clock", _clock),
        ("database", lambda: _database(settings)),
        ("receivers", lambda: f"{len(settings.parsed_receivers())} defined"),
        ("kafka codecs", _codecs),
    ]
    for path in files or ():
        checks.append((f"{path}: LFs", lambda path=path: _probes(path)))  # type: ignore[misc]
        checks.append((f"{path}: format", lambda path=path: _format(path, settings)))  # type: ignore[misc]
        checks.append((f"{path}: source", lambda path=path: _source(path, settings)))  # type: ignore[misc]
        checks.append((f"{path}: sight", lambda path=path: _sight(path, settings)))  # type: ignore[misc]
    failed = [name for name, check in checks if not _passes(name, check)]
    if failed:
        msg = f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
        raise ServiceError(msg)


def _passes(name: str, check: Check) -> bool:
    try:
        result = check()
    except TidegaugeError as error:
        out.print(f"[red]✗[/] {name}: ", end="")
        out.print(str(error), markup=False, highlight=False)
        return False
    out.print(f"[green]✓[/] {name}: ", end="")
    out.print(result, markup=False, highlight=False)
    return True


def _clock() -> str:
    if time.time() * 1000 < EARLIEST_SANE_MS:
        msg = "the clock is wrong: records would look like the future. Set it (NTP)"
        raise SettingsError(msg)
    return "set"


def _database(settings: Settings) -> str:
    database = Database(settings.database.get_secret_value())
    try:
        found, needed = database.version()
        if found is None and database.is_sqlite:
            return "new; its tables are made at the first run"
        if found != needed:
            msg = f"revision {found}, needed {needed}: run `tidegauge db upgrade`"
            raise StoreError(msg)
        with database.write():
            return f"revision {found}, writable"
    finally:
        database.close()


def _codecs() -> str:
    wanted: Sequence[str] = ("crc32c", "lz4", "snappy", "zstandard")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"missing {', '.join(missing)}: pip install 'kafka-python[crc32c,lz4,snappy,zstd]'"
        raise SourceError(msg)
    return ", ".join(wanted)


def _probes(path: Path) -> str:
    config = load_stream(path)
    probe_set = load(config.probes, Path(config.folder))
    return f"{len(probe_set.probes)} LFs, ProbeSet {probe_set.id}"


def _format(path: Path, settings: Settings) -> str:
    return check_format(load_stream(path), settings)


def _source(path: Path, settings: Settings) -> str:
    config = load_stream(path)
    if config.source.kind == "log":
        return f"log, {config.source.partitions} partitions in the database"
    source = open_source(config, settings, Database(settings.database.get_secret_value()))
    try:
        return f"{config.source.kind}, {len(source.beginnings())} partitions"
    finally:
        source.close()


def _sight(path: Path, settings: Settings) -> str:
    """Say whether the stream sees its traffic, as its workers have found."""
    name = load_stream(path).name
    database = Database(settings.database.get_secret_value())
    try:
        if database.version()[0] is None:
            return "nothing counted yet"
        stream = streams.find(database, name)
        if stream is None:
            return "nothing counted yet"
        with database.read() as connection:
            found = sight.load(connection, stream.id).found
    finally:
        database.close()
    said = ". ".join(wording.blind(found or ()))
    if any(one.serious for one in found or ()):
        raise ServiceError(said)
    if found is None:
        return "too little was counted to say"
    return said or "the LFs see the traffic"
