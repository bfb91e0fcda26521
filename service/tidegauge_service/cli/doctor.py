"""``tidegauge doctor``: check an installation, and say how to fix what is wrong."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from tidegauge_alerts.errors import DeliveryError
from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.notices import late_advice
from tidegauge_alerts.rules import check_names
from tidegauge_alerts.transports.preflight import check_receiver
from tidegauge_probes import load
from tidegauge_probes.drift.civil_time import UTC
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.cli.console.first_records import first_inputs
from tidegauge_service.cli.console.terminal import counted, out, settings_of, styled
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import ServiceError, SettingsError, SourceError, StoreError
from tidegauge_service.ingest.codec.stream_codec import check_format, open_codec
from tidegauge_service.ingest.partitions import origin
from tidegauge_service.ingest.record_paths import check_mapping
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.registry import open_source
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.jobs.punctuality import arrived, mostly_late
from tidegauge_service.runtime.pipeline import check_receivers
from tidegauge_service.store import streams
from tidegauge_service.store.alerting import alerts, notice_state, outbox
from tidegauge_service.store.alerting.notice_state import Trouble
from tidegauge_service.store.alerting.outbox import Undelivered
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.ingest.decisions import of_stream
from tidegauge_service.store.ingest.gap import GapCause
from tidegauge_service.store.streams import StreamRow, partitions
from tidegauge_service.store.windows import newest, sight
from tidegauge_service.store.windows.clock_change import followed_clock

Check = Callable[[], str]

LOOKED_INTO: Final = frozenset({"file", "kafka"})
"""Kinds of sources whose first records can be read without taking part."""

EARLIEST_SANE_MS = 1_577_836_800_000  # 2020-01-01: a clock before this was never set


def doctor(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Stream files to check.", metavar="STREAM")
    ] = None,
) -> None:
    """Check settings, clock, database, receivers, codecs and streams."""
    settings = settings_of(context)
    checks: list[tuple[str, Check]] = [
        ("system clock", _clock),
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
        kind = load_stream(path).source.kind
    except SettingsError:
        return [(f"{path}: file", partial(_probes, path, settings))]
    return [
        (f"{path}: LFs", partial(_probes, path, settings)),
        (f"{path}: receivers", partial(_told, path, settings)),
        *([(f"{path}: format", partial(_format, path, settings))] if kind == "kafka" else []),
        (f"{path}: source", partial(_source, path, settings)),
        *([(f"{path}: fields", partial(_fields, path, settings))] if kind in LOOKED_INTO else []),
        (f"{path}: records", partial(_records, path, settings)),
        (f"{path}: time zone", partial(_time_zone, path, settings)),
        (f"{path}: gaps", partial(_gaps, path, settings)),
        (f"{path}: LF failures", partial(_sight, path, settings)),
        (f"{path}: alerts", partial(_alerts, path, settings)),
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
        msg = "the clock is wrong, so records would seem to come from the future: set it (NTP)"
        raise SettingsError(msg)
    return "OK"


def _opened(settings: Settings) -> Database:
    """Open the database as it is; doctor changes nothing."""
    return Database(settings.database.get_secret_value())


def _database(settings: Settings) -> str:
    with closing(_opened(settings)) as database:
        found, needed = database.version()
        if found is None and database.is_sqlite:
            return "new; the first run creates its tables"
        if found != needed:
            msg = f"revision {found}, needed {needed}: run `tidegauge db upgrade`"
            raise StoreError(msg)
        with database.write():
            return f"revision {found}, writable"


def _receiver(name: str, settings: Settings) -> str:
    """Say where a receiver is; an error if it cannot be delivered to, or was not of late."""
    found = settings.parsed_receivers().get(name)
    if found is None:
        msg = f"receiver '{name}' is not defined"
        raise SettingsError(msg)
    where = check_receiver(found)
    with closing(_opened(settings)) as database:
        current, needed = database.version()
        if current != needed:  # an older one, or none: its own check says so
            return where
        with database.read() as connection:
            lost = outbox.undelivered(connection, name)
    if lost is None:
        return where
    raise DeliveryError(f"{_undelivered(lost)}. Latest error: {lost.error}")


def _undelivered(lost: Undelivered) -> str:
    """Say what becomes of the messages that a receiver did not take."""
    failed = (
        f"{lost.failed} failed for good and will not be sent again"
        if lost.failed
        else "none failed"
    )
    waiting = f"{lost.waiting} will be retried" if lost.waiting else "none is waiting"
    return (
        f"messages since the last successful delivery: {failed}, {waiting}. This check passes "
        "again after the next successful delivery"
    )


def _told(path: Path, settings: Settings) -> str:
    config = load_stream(path)
    check_receivers(config, settings)
    return (
        ", ".join(config.alerts.receivers)
        or "none, so alerts appear only on the page and in the API"
    )


def _codecs() -> str:
    wanted: Sequence[str] = ("crc32c", "lz4", "snappy", "zstandard")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"missing {', '.join(missing)}: pip install 'kafka-python[crc32c,lz4,snappy,zstd]'"
        raise SourceError(msg)
    return ", ".join(wanted)


def _probes(path: Path, settings: Settings) -> str:
    """Say which LFs there are; an error if `run` would refuse them."""
    config = load_stream(path)
    probe_set = load(config.probes, Path(config.folder))
    for rule in config.alerts.user_rules:
        check_names(rule, probe_set.layout.probes, probe_set.classes)
    _look(
        path,
        settings,
        lambda connection, stream: streams.check_registered(connection, stream, config, probe_set),
    )
    return f"{len(probe_set.probes)} LFs, ProbeSet {probe_set.id}"


def _format(path: Path, settings: Settings) -> str:
    return check_format(load_stream(path), settings)


def _fields(path: Path, settings: Settings) -> str:
    """Say what the paths of the stream file find in the first records of its files."""
    config = load_stream(path)
    inputs = first_inputs(config, settings)
    if not inputs:
        return "no record yet"
    found = check_mapping(config, open_codec(config, settings, now_ms), inputs)
    faults = found.faults(config.limits.dead_letter_share)
    if faults:
        msg = f"{'; '.join(faults)}. The records have: {found.columns}. Correct {path}"
        raise SettingsError(msg)
    dead = f", {found.dead} of them cannot be used ({found.why})" if found.dead else ""
    return f"{found.inputs} records read{dead}; they have: {found.columns}"


Found = TypeVar("Found")


def _look(
    path: Path, settings: Settings, read: Callable[[Connection, StreamRow], Found]
) -> Found | None:
    """Return what is read of a stream; None if it is not in the database (yet)."""
    with closing(_opened(settings)) as database:
        found_revision, needed = database.version()
        if found_revision != needed:  # `database` says what to do
            return None
        name = load_stream(path).name
        with database.read() as connection:
            stream = streams.find(connection, name)
            return None if stream is None else read(connection, stream)


def _records(path: Path, settings: Settings) -> str:
    """Say how many records came in time, if the stream is in the database."""
    found = _look(
        path,
        settings,
        lambda connection, stream: (
            arrived(partitions(connection, stream.id)),
            notice_state.since(connection, stream.id, Trouble.LATE),
        ),
    )
    if found is None:
        return "none yet"
    came, told = found
    said = f"{came.records} read, {came.late} of them too late to be counted"
    if told is not None or mostly_late(came):
        raise SourceError(f"{said}. {late_advice(load_stream(path).source.kind)}")
    return said


def _time_zone(path: Path, settings: Settings) -> str:
    """Name the stream's time zone, with a warning if its daily cycle follows another."""
    zone = load_stream(path).timezone
    found = _look(path, settings, followed_clock)
    return zone if found is None or zone != UTC else f"{zone}. Warning: {found.advice}"


def _gaps(path: Path, settings: Settings) -> str:
    """Say what the source did not hold any more; an error while that waits for a decision."""
    found = _look(path, settings, lambda connection, stream: of_stream(connection, stream.id))
    gaps = [gap for gap in found or () if gap.cause != GapCause.PARTITION_ADDED]
    if not gaps:
        return "none"
    name = load_stream(path).name
    see = f"see `tidegauge streams gaps {name}`"
    held = [str(gap.partition) for gap in gaps if gap.applied_ms is None]
    if held:
        msg = (
            f"partition {', '.join(held)} waits, because the source no longer holds what comes "
            f"next: {see}, then `tidegauge streams accept-gap {name}`"
        )
        raise SourceError(msg)
    return f"{len(gaps)}, with {sum(gap.lost for gap in gaps)} inputs never read: {see}"


def _source(path: Path, settings: Settings) -> str:
    """Say what the source is; an error if `run` would refuse it."""
    config = load_stream(path)
    with (
        closing(_opened(settings)) as database,
        closing(open_source(config, settings, database)) as source,
    ):
        found, needed = database.version()
        if found == needed:  # otherwise `database` says what to do
            origin.check(database, config, source)
        if config.source.kind == "log":
            return f"log, {counted(config.source.partitions, 'partition')} in the database"
        n = len(source.beginnings())
        return f"{config.source.kind}, {counted(n, 'partition')}{_formats(source)}"


def _formats(source: Source) -> str:
    formats = {file.format for file in source.files} if isinstance(source, FileReader) else set()
    return "".join(f", {one}" for one in sorted(formats))


def _sight(path: Path, settings: Settings) -> str:
    """Say whether the stream sees its traffic, as its workers have found."""
    found = _look(
        path,
        settings,
        lambda connection, stream: (
            sight.load(connection, stream.id),
            newest.failing(connection, stream),
        ),
    )
    if found is None:
        return "nothing counted yet"
    seen, shares = found
    if seen.found is None:
        return "too few records counted to tell"
    said = ". ".join(phrases.blind(seen.found))
    if any(one.broken for one in seen.found):
        raise ServiceError(said)
    failing = phrases.failures(shares)
    if failing:
        said += ". " if said else ""
        said += f"in the newest windows: {failing}. `tidegauge probes check {path}` says why"
    return said or "none"


def _alerts(path: Path, settings: Settings) -> str:
    """Say how many alerts are firing: that is no fault of the installation."""
    n = _look(path, settings, lambda connection, stream: alerts.firing(connection, stream.id))
    if not n:
        return "none is firing"
    return f"{n} firing: to see them, `tidegauge run {path}` and open the page"
