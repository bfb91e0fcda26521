"""``tidegauge doctor``: what is wrong with this installation, and what to do."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tidegauge_alerts.errors import DeliveryError
from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import LATE_ADVICE
from tidegauge_alerts.transports.preflight import check_receiver
from tidegauge_probes import load
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.terminal import out, settings_of, styled
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import ServiceError, SettingsError, SourceError, StoreError
from tidegauge_service.ingest.sources.registry import check_format, open_source
from tidegauge_service.jobs.punctuality import arrived, mostly_late
from tidegauge_service.runtime.pipeline import check_receivers
from tidegauge_service.store import streams
from tidegauge_service.store.alerting import notice_state, outbox
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import partitions
from tidegauge_service.store.windows import sight

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
        *((f"receiver {name}", partial(_receiver, name, settings)) for name in settings.receivers),
        ("kafka codecs", _codecs),
    ]
    for path in files or ():
        checks.extend(_of_stream(path, settings))
    failed = [name for name, check in checks if not _passes(name, check)]
    if failed:
        msg = f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
        raise ServiceError(msg)


def _of_stream(path: Path, settings: Settings) -> list[tuple[str, Check]]:
    """Return the checks of a stream file; of one that cannot be read, that alone."""
    try:
        load_stream(path)
    except SettingsError:
        return [(f"{path}: file", partial(_probes, path))]
    return [
        (f"{path}: LFs", partial(_probes, path)),
        (f"{path}: receivers", partial(_told, path, settings)),
        (f"{path}: format", partial(_format, path, settings)),
        (f"{path}: source", partial(_source, path, settings)),
        (f"{path}: records", partial(_records, path, settings)),
        (f"{path}: sight", partial(_sight, path, settings)),
    ]


def _passes(name: str, check: Check) -> bool:
    try:
        result = check()
    except TidegaugeError as error:
        out.print(styled("✗", "red"), f"{name}: {error}")
        return False
    out.print(styled("✓", "green"), f"{name}: {result}")
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


def _receiver(name: str, settings: Settings) -> str:
    """Say where a receiver is; an error if it cannot be delivered to, or was not of late."""
    found = settings.parsed_receivers().get(name)
    if found is None:
        msg = f"receiver '{name}' is not defined"
        raise SettingsError(msg)
    where = check_receiver(found)
    database = Database(settings.database.get_secret_value())
    try:
        current, needed = database.version()
        if current != needed:  # an older one, or none: its own check says so
            return where
        with database.read() as connection:
            lost = outbox.undelivered(connection, name)
    finally:
        database.close()
    if lost is None:
        return where
    msg = (
        f"{lost.failed} messages failed and {lost.waiting} wait to be tried again, since it last "
        f"took one. The newest: {lost.error}"
    )
    raise DeliveryError(msg)


def _told(path: Path, settings: Settings) -> str:
    config = load_stream(path)
    check_receivers(config, settings)
    return ", ".join(config.alerts.receivers) or "none: alerts are only on the page and in the API"


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


def _records(path: Path, settings: Settings) -> str:
    """Say how many records came in time, if the stream is in the database."""
    database = Database(settings.database.get_secret_value())
    try:
        found_revision, needed = database.version()
        if found_revision != needed:  # `database` says what to do
            return "none yet"
        name = load_stream(path).name
        with database.read() as connection:
            stream = streams.find(connection, name)
            if stream is None:
                return "none yet"
            found = arrived(partitions(connection, stream.id))
            told = notice_state.since(connection, stream.id, Trouble.LATE)
    finally:
        database.close()
    said = f"{found.records} read, {found.late} of them too late to be counted"
    if told is not None or mostly_late(found):
        raise SourceError(f"{said}. {LATE_ADVICE}")
    return said


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
        with database.read() as connection:
            stream = streams.find(connection, name)
            if stream is None:
                return "nothing counted yet"
            found = sight.load(connection, stream.id).found
    finally:
        database.close()
    said = ". ".join(phrases.blind(found or ()))
    if any(one.serious for one in found or ()):
        raise ServiceError(said)
    if found is None:
        return "too little was counted to say"
    return said or "the LFs see the traffic"
