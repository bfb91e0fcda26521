"""Gives the files of a stream their partitions: in one transaction, before anything is read.

Two workers that open the same files at once agree: who comes second finds what the first wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_service.config.sources import FileSource as FileConfig
from tidegauge_service.errors import StreamHalted
from tidegauge_service.ingest.gap_notice import GapNotice
from tidegauge_service.ingest.sources.files.catalog import CatalogPlan, KnownFile, Loss, settle
from tidegauge_service.ingest.sources.files.identity import Fingerprint, FoundFile, Mark, mark_of
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.ingest import decisions, source_files
from tidegauge_service.store.ingest.gap import Gap, GapCause
from tidegauge_service.store.ingest.source_files import KeptFile
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

CONTINUE = "source.on_gap: continue"


class NumberedFiles(Protocol):
    """A source of files (``FileReader``) that is told which of them is which partition."""

    @property
    def files(self) -> Sequence[FoundFile]:
        """The files that it has found."""

    def number(self, files: Mapping[int, FoundFile], marks: Mapping[int, Mark]) -> None:
        """Take the partition of each file, and where the position in it was marked."""


def number_files(scope: StreamScope, source: NumberedFiles) -> None:
    """Find out which file is which partition, and give new ones a number.

    Raises StreamHalted if a file was rewritten, cut or removed, and somebody is to decide.
    """
    database, stream, now_ms = scope.database, scope.stream, scope.clock()
    while True:
        before = known_files(database, stream)
        plan = settle(before, source.files)  # reads files: not while the database is locked
        with database.write() as connection:
            source_files.lock(connection, stream.id)
            if _identities(_read(connection, stream)) != _identities(before):
                continue  # somebody else was quicker
            waiting = _record_losses(connection, scope, plan, now_ms)
            placed = {} if waiting else _write(connection, stream, plan, now_ms)
            break
    if waiting:
        msg = (
            f"{'; '.join(waiting)}. Nothing is read until you accept the gap: {notices.GAP_ADVICE}"
        )
        raise StreamHalted(msg)
    marks = {k.partition: k.mark for k in before if k.mark is not None and k.next_offset}
    source.number(placed, {p: mark for p, mark in marks.items() if p in placed})


def known_files(database: Database, stream: StreamRow) -> list[KnownFile]:
    """Return the files that the stream was ever read from."""
    with database.read() as connection:
        return _read(connection, stream)


def _read(connection: Connection, stream: StreamRow) -> list[KnownFile]:
    return [_known(row) for row in source_files.of_stream(connection, stream.id)]


def _identities(files: Sequence[KnownFile]) -> list[tuple[object, ...]]:
    """Return what says which file is which; reading changes the rest all the time."""
    return [(file.partition, file.name, file.fingerprint, file.gone) for file in files]


def _known(row: KeptFile) -> KnownFile:
    return KnownFile(
        row.partition,
        row.name,
        row.format,
        Fingerprint(row.head_bytes, row.head),
        row.state,
        row.gone,
        row.next_offset,
        row.end_offset,
        row.drained,
        mark_of(row.mark),
    )


def _record_losses(
    connection: Connection, scope: StreamScope, plan: CatalogPlan, now_ms: int
) -> list[str]:
    """Record what was lost and notify the receivers; return what waits for a decision."""
    stream, source = scope.stream, scope.config.source
    halts = isinstance(source, FileConfig) and source.on_gap == "halt"
    asked = [(loss, _gap(loss)) for loss in plan.lost]
    decided = [
        decisions.ask(connection, stream, gap, now_ms) if halts else CONTINUE for _, gap in asked
    ]
    waiting = []
    for (loss, gap), by in zip(asked, decided, strict=True):
        said = describe(loss)
        if None not in decided:
            log.error("data_gap", stream=stream.name, gap=said, decided_by=by)
            decisions.record(connection, stream, gap, by=by or "", now_ms=now_ms)
            notice = GapNotice(stream, scope.receivers, gap, said, scope.url)
            if halts:
                notice.resolve(connection, now_ms)
            else:
                notice.show(connection, now_ms)
        elif by is None:
            waiting.append(said)
            told = f"{said}. Nothing is read until you accept the gap: {notices.GAP_ADVICE}"
            notice = GapNotice(stream, scope.receivers, gap, told, scope.url)
            notice.fire(connection, now_ms)
    return waiting


def _gap(loss: Loss) -> Gap:
    return Gap(loss.known.partition, loss.cause, loss.known.next_offset, 0, loss.unread, None)


def _write(
    connection: Connection, stream: StreamRow, plan: CatalogPlan, now_ms: int
) -> dict[int, FoundFile]:
    """Keep what is which; return partition → file."""
    first = source_files.next_partition(connection, stream.id)
    added = dict(enumerate(plan.added, first))
    placed = {**plan.placed, **added}
    rows = [_row(partition, file) for partition, file in sorted(placed.items())]
    source_files.keep(connection, stream.id, rows, sorted(added), now_ms)
    source_files.mark_gone(connection, stream.id, [known.partition for known in plan.gone], now_ms)
    return placed


def _row(partition: int, file: FoundFile) -> KeptFile:
    head = file.fingerprint
    return KeptFile(partition, file.name, file.format, head.size, head.digest, file.state)


def describe(loss: Loss) -> str:
    """Return in words what happened to a file."""
    known = loss.known
    unread = f", {loss.unread} of its rows were never read" if loss.unread else ""
    if loss.cause is GapCause.REMOVED:
        return (
            f"file '{known.name}' was removed before it was fully read: {known.next_offset} "
            f"rows were counted{unread}"
        )
    what = "was cut" if loss.cause is GapCause.TRUNCATED else "was rewritten"
    return (
        f"file '{known.name}' {what} after {known.next_offset} of its rows were "
        f"counted{unread}: its present content is read from the start, as new records"
    )
