"""Keep the database within the bounds of the settings: by age, by rows, by bytes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Retention
from tidegauge_service.store import retention, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.retention import Removed

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
            retention.prune(
                self._database,
                stream,
                rule,
                self._settings,
                now_ms=self._clock(),
                dry_run=dry_run,
                stopping=self._stopping,
            )
            for stream in known
            for rule in retention.RULES
        ]
        if not dry_run:
            self._database.give_back(self._stopping)
        return [removed for removed in found if removed.rows]
