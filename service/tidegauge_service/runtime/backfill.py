"""Read files of records into the history of a stream, exactly once, before its windows close.

First the stream's own partitions are made: they have no watermark yet, so nothing closes. Then the
files get partitions, which hold the windows until they are read to their end. Only then is it
looked at what would be late, for from then on no more windows close.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from tidegauge_service.clock import Clock, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import KafkaSource, LogSource
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import SettingsError, SourceError
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.sources.history import HistoryFiles, Survey, survey
from tidegauge_service.runtime.pipeline import Pipeline, open_pipeline
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import backfills
from tidegauge_service.store.ingest.backfills import Backfill, NewFile
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What every step needs."""

    config: StreamConfig
    settings: Settings
    database: Database
    clock: Clock

    def open(self, source: HistoryFiles | None = None) -> Pipeline:
        return open_pipeline(self.config, self.settings, self.database, self.clock, source=source)


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What became of the files. ``before``: those that an earlier run has counted whole."""

    stream: str
    files: Sequence[Backfill]
    before: Sequence[str]


def backfill(
    config: StreamConfig,
    settings: Settings,
    database: Database,
    clock: Clock,
    paths: Sequence[Path],
    *,
    advance: Advance,
    late: bool = False,
) -> BackfillResult:
    """Count the records of files; *late*: those that come too late are counted as such.

    SettingsError, with nothing counted, if any would be late and *late* is not set; StreamHalted
    if too many are no records. After a kill the same call goes on where it stood.
    """
    _refuse_finite(config)
    named = _digests(paths)
    scope = _Scope(config, settings, database, clock)
    stream = _open_stream(scope)
    files = _begin(database, stream, named, clock())
    todo = {file.partition: named[file.digest] for file in files if not file.drained}
    fresh = {file.partition for file in files if not file.next_offset} & todo.keys()
    try:
        if not late:
            _refuse_late(scope, stream, [todo[p] for p in sorted(fresh, reverse=True)])
        source = HistoryFiles(todo)
    except Exception:
        with database.write() as connection:
            backfills.withdraw(connection, stream.id, fresh)
        raise
    if todo:
        _count(scope, source, advance)
    with database.read() as connection:
        mine = {file.digest for file in files}
        after = [f for f in backfills.of_stream(connection, stream.id) if f.digest in mine]
    return BackfillResult(stream.name, after, [file.name for file in files if file.drained])


def _refuse_finite(config: StreamConfig) -> None:
    if not isinstance(config.source, KafkaSource | LogSource):
        msg = (
            f"stream '{config.name}' has a {config.source.kind} source, which needs no "
            "backfill: make source.path match these files too"
        )
        raise SettingsError(msg)


def _digests(paths: Sequence[Path]) -> dict[str, Path]:
    """Return digest → file; SourceError if one cannot be read."""
    found: dict[str, Path] = {}
    for path in paths:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            msg = f"cannot read {path}: {error.strerror or error}"
            raise SourceError(msg) from error
        if digest in found:
            msg = f"{path} and {found[digest]} have the same content: give only one of them"
            raise SettingsError(msg)
        found[digest] = path
    return found


def _open_stream(scope: _Scope) -> StreamRow:
    """Make the stream and the partitions of its own source, if that was not done yet."""
    pipeline = scope.open()
    pipeline.close()
    return pipeline.scope.stream


def _begin(
    database: Database, stream: StreamRow, named: dict[str, Path], now_ms: int
) -> list[Backfill]:
    """Give the files their partitions; SettingsError if another file was not read to its end."""
    with database.write() as connection:
        left = [
            found.name
            for found in backfills.of_stream(connection, stream.id)
            if not found.drained and found.digest not in named
        ]
        if left:
            msg = (
                f"{', '.join(left)} was not fully read and keeps windows of "
                f"'{stream.name}' open: pass it again, unchanged. Or discard the rest "
                "with `tidegauge backfill STREAM --abandon`; the records counted so far "
                "are kept"
            )
            raise SettingsError(msg)
        files = [NewFile(path.name, digest) for digest, path in named.items()]
        return backfills.begin(connection, stream.id, files, now_ms)


def _refuse_late(scope: _Scope, stream: StreamRow, paths: Sequence[Path]) -> None:
    with scope.database.write() as connection:
        closed = backfills.closed_through(connection, stream.id)
    codec = open_codec(scope.config, scope.settings, scope.clock)
    for path in paths:
        found = survey(
            path,
            codec,
            window_ms=stream.window_ms,
            lateness_ms=stream.lateness_ms,
            closed_ms=closed,
        )
        if not found.records:
            msg = (
                f"{path} contains no record ({found.dead} inputs could not be read as "
                "records): check `record` in the stream file"
            )
            raise SourceError(msg)
        if found.closed or found.disordered:
            raise SettingsError(_said(path, found, closed))


def _said(path: Path, found: Survey, closed: int | None) -> str:
    parts = []
    if found.closed and closed is not None:
        parts.append(
            f"{found.closed:,} belong to closed windows (through {to_iso(closed)}): "
            "leave them out, or give the stream a new `name` and load the history "
            "before it goes live"
        )
    if found.disordered:
        parts.append(
            f"{found.disordered:,} go back in time by more than `lateness`: sort the file by time, "
            "or raise `lateness`"
        )
    late = found.closed + found.disordered
    return (
        f"{late:,} of {found.records:,} records of {path} would be late; nothing was counted. "
        f"{'; '.join(parts)}. To count them as late, add --late"
    )


def _count(scope: _Scope, source: HistoryFiles, advance: Advance) -> None:
    pipeline = scope.open(source)
    try:
        while not pipeline.worker.drained:
            progress = pipeline.worker.step(finite=True)
            advance(progress.records + progress.dead_letters)
    finally:
        pipeline.close()
    log.info("history_counted", stream=scope.config.name, files=len(source.beginnings()))
