"""What ``/readyz`` says of blind streams, without a thread of the pool that requests share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tidegauge_service.errors import StoreError
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import sight

PATIENCE_S: Final = 1.0
"""How long an answer waits for the database. After that it has what was known before."""


class BlindStreams:
    """The streams that are blind, as last read; a database that hangs holds up one thread only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="blind-streams")
        self._reading: asyncio.Future[None] | None = None
        self._known: Mapping[str, list[str]] = {}

    async def known(self) -> Mapping[str, list[str]]:
        """Return stream → causes in words, read now if the database answers in time."""
        if self._reading is None or self._reading.done():
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._reader, self._read)
        await asyncio.wait([self._reading], timeout=PATIENCE_S)
        return self._known

    def _read(self) -> None:
        try:
            with self._database.read() as connection:
                self._known = sight.blind_streams(connection)
        except StoreError:  # the workers say so themselves: it is the `reason` then
            self._known = {}
