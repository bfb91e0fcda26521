"""Keep the database within the bounds of the settings: by age, by rows, by bytes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Retention
from tidegauge_service.store import retention, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.retention import Removed, RetentionRule
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()


class Pruner:
    """Removes what is too old or too much, of all streams of a database."""

    def __init__(
        self,
        database: Database,
        settings: Retention,
        clock: Clock,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._stopping = stopping

    def tick(self) -> None:
        """Prune, and say so if anything was removed."""
        for removed in self.prune():
            log.info("pruned", stream=removed.stream, table=removed.table, rows=removed.rows)

    def prune(self, *, dry_run: bool = False) -> list[Removed]:
        """Remove what is too much; return what was removed (*dry_run*: what would be)."""
        with self._database.read() as connection:
            known = streams.select_streams(connection)
        found = [
            self._prune(stream, rule, dry_run=dry_run)
            for stream in known
            for rule in retention.RULES
        ]
        if not dry_run:
            self._database.give_back(self._stopping)
        return [removed for removed in found if removed.rows]

    def _prune(self, stream: StreamRow, rule: RetentionRule, *, dry_run: bool) -> Removed:
        """Remove a stream's rows of one table, one batch after another.

        Each batch is a transaction of its own, and a short one: workers wait for its locks.
        """
        with self._database.read() as connection:
            now = self._clock()
            excess = retention.excess_of(connection, stream, rule, self._settings, now)
            if excess is not None and dry_run:
                retention.count(connection, stream, rule, excess)
        more = excess is not None and not dry_run
        while excess is not None and more and not self._stopping():
            with self._database.write() as connection:
                more = retention.remove(connection, stream, rule, excess)
        gone, size = (excess.gone, excess.gone_bytes) if excess else (0, 0)
        return Removed(stream.name, rule.table.name, gone, size)
