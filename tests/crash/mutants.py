"""Mutants: the product with one safeguard taken out. The harness must catch each of them.

Each patches one function of the running worker, in its own process; nothing in the product knows.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.service.transactions import write


@dataclass(frozen=True)
class Mutant:
    """A safeguard less. ``kinds``: of differences, any of which gives it away."""

    removes: str
    kinds: frozenset[str]
    patch: Callable[[], None]


def _module(name: str) -> Any:
    """Import a module of the store, to be patched."""
    return importlib.import_module(f"tidegauge_service.store.{name}")


def _no_fence() -> None:
    """``UPDATE … SET next_offset = :to`` wherever it stands."""
    import sqlalchemy as sa

    from tidegauge_service.store import schema

    commit = _module("ingest.commit")
    advance = commit._advance

    def unfenced(connection: Any, stream: Any, batch: Any, owner: str, now_ms: int) -> None:
        t = schema.stream_partition
        connection.execute(
            sa.update(t)
            .where(t.c.stream_id == stream.id, t.c.partition == batch.partition)
            .values(next_offset=batch.from_offset)
        )
        advance(connection, stream, batch, owner, now_ms)

    commit._advance = unfenced


def _no_closers_lock() -> None:
    """The closer reads the watermarks as any reader does.

    What a partition itself has passed is late before the commit (``ingest.lateness``), so in files
    the lock guards nothing that this does not: both have to go for a closed window to change.
    """
    from sqlalchemy.sql import Select

    from tidegauge_service.ingest import lateness

    sort_out = lateness.sort_out
    lateness.sort_out = lambda records, _latest, **options: sort_out(
        records, {}, **{**options, "lateness_ms": 10**12}
    )
    commit = _module("ingest.commit")
    close = commit.close_windows

    def unlocked(*arguments: Any) -> Any:
        lock = Select.with_for_update
        Select.with_for_update = lambda self, *_, **__: self  # type: ignore[method-assign]
        try:
            return close(*arguments)
        finally:
            Select.with_for_update = lock  # type: ignore[method-assign]

    commit.close_windows = unlocked


def _stale_cache() -> None:
    """After a fence the position is read again, the running counts are not."""
    from tidegauge_service.ingest.partitions.assignment import Assignment

    reload = Assignment.reload

    def stale(self: Any, partitions: Any, **options: Any) -> None:
        before = {p: owned.panes for p, owned in self.owned.items()}
        reload(self, partitions, **options)
        for partition, panes in before.items():
            if partition in self.owned:
                self.owned[partition].panes = panes

    Assignment.reload = stale  # type: ignore[method-assign, assignment]


def _foreign_watermark() -> None:
    """A worker's commit moves the watermark of partitions that it does not read."""
    import sqlalchemy as sa

    from tidegauge_service.store import schema

    commit = _module("ingest.commit")
    advance = commit._advance

    def everywhere(connection: Any, stream: Any, batch: Any, owner: str, now_ms: int) -> None:
        advance(connection, stream, batch, owner, now_ms)
        t = schema.stream_partition
        ahead = commit._never_falls(t.c.watermark_ms, batch.watermark_ms)
        connection.execute(
            sa.update(t).where(t.c.stream_id == stream.id).values(watermark_ms=ahead)
        )

    commit._advance = everywhere


def _sent_before_sending() -> None:
    """A message is marked sent, then sent."""
    from tidegauge_service.jobs.dispatcher import Dispatcher
    from tidegauge_service.store.alerting import outbox

    send = Dispatcher._send

    def hasty(self: Any, outgoing: Any) -> None:
        write(self._database, outbox.settle, outgoing, state=outbox.SENT, now_ms=self._clock())
        send(self, outgoing)

    Dispatcher._send = hasty  # type: ignore[method-assign]


MUTANTS = {
    "fence_removed": Mutant(
        "the compare of `next_offset` in the commit", frozenset({"cell", "late"}), _no_fence
    ),
    "closers_lock_removed": Mutant(
        "`FOR UPDATE` of the partition rows in the closer",
        frozenset({"window"}),
        _no_closers_lock,
    ),
    "cache_not_reloaded": Mutant(
        "reading the panes again after a fence", frozenset({"cell"}), _stale_cache
    ),
    "foreign_watermark": Mutant(
        "the rule that only its owner moves a partition's watermark",
        frozenset({"late"}),
        _foreign_watermark,
    ),
    "sent_before_sending": Mutant(
        "marking a message sent only after the receiver's yes",
        frozenset({"notification_lost"}),
        _sent_before_sending,
    ),
}
