"""Events that came by HTTP as a source. They wait in the database; readers divide its partitions.

What protects the counts is what protects those of every source: positions moved by
compare-and-set. The leases (``store.event_leases``) only divide the work.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence

import structlog

from tidegauge_service.clock import Clock, now_ms
from tidegauge_service.config.sources import LogSource
from tidegauge_service.errors import SourceError, StoreError
from tidegauge_service.ingest.sources.source import Polled, Raw
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.ingest import event_leases, events
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()

MOST_BYTES = 64 * 2**20
"""Maximum size of the events in one poll, unless the reader allows another total."""

RENEWALS = 3
"""How many times a lease is renewed within its length."""


class EventLog:
    """One reader of a stream's events; a member of all that read the stream."""

    def __init__(
        self, config: LogSource, name: str, database: Database, *, clock: Clock = now_ms
    ) -> None:
        self._config = config
        self._name = name
        self._database = database
        self._clock = clock
        self._found: StreamRow | None = None
        self._held: frozenset[int] = frozenset()
        self._at: dict[int, int] = {}
        self._renew_ms = 0
        self._turn = 0
        self._most_bytes = MOST_BYTES
        self.reader = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @property
    def _stream(self) -> StreamRow:
        if self._found is None:
            with self._database.read() as connection:
                self._found = streams.find(connection, self._name)
        if self._found is None:
            msg = (
                f"there is no stream '{self._name}' in the database yet: start "
                "`tidegauge run`, which creates it"
            )
            raise SourceError(msg)
        return self._found

    def beginnings(self) -> dict[int, int]:
        """Return the partitions, made where there are none, with the first event each holds."""
        stream = self._stream
        with self._database.write() as connection:
            events.make_partitions(connection, stream, self._config.partitions)
            return events.firsts(connection, stream)

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the next events of the partitions held, or how the division has changed."""
        gained, lost = self._divide()
        if gained or lost:
            return Polled(gained=gained, lost=lost, assigned=True)
        inputs = self._read(max_records)
        if not inputs:
            time.sleep(timeout_s)
        return Polled(inputs, assigned=True)

    def _divide(self) -> tuple[frozenset[int], frozenset[int]]:
        """Renew the lease when it is due; return what was gained and lost by it."""
        now, pause = self._clock(), self._config.lease // RENEWALS
        if now < self._renew_ms <= now + pause:  # else it is due, or the clock has jumped
            return frozenset(), frozenset()
        stream, lease_ms = self._stream, self._config.lease
        with self._database.write() as connection:
            held = event_leases.divide(
                connection, stream, self.reader, now_ms=now, lease_ms=lease_ms
            )
        self._renew_ms = now + pause
        gained, lost = held - self._held, self._held - held
        self._held = held
        for partition in gained | lost:
            self._at.pop(partition, None)
        return gained, lost

    def allow(self, max_bytes: int) -> None:
        """Let the next polls stop at the first event that reaches so many bytes."""
        self._most_bytes = max_bytes

    def _read(self, most: int) -> list[Raw]:
        """Take turns between the partitions, so that none waits for another's backlog."""
        stream = self._stream
        with self._database.read() as connection:
            return self._read_from(connection, stream, most)

    def _read_from(self, connection: Connection, stream: StreamRow, most: int) -> list[Raw]:
        inputs: list[Raw] = []
        left = self._most_bytes
        ends = events.ends(connection, stream, sorted(self._at))
        partitions = [p for p, end in ends.items() if end > self._at[p]]
        self._turn += 1
        for i in range(len(partitions)):
            partition = partitions[(self._turn + i) % len(partitions)]
            if left <= 0 or len(inputs) >= most:
                break
            waiting = len(partitions) - i
            found = events.read(
                connection,
                stream,
                partition,
                self._at[partition],
                most=-(-(most - len(inputs)) // waiting),
                most_bytes=-(-left // waiting),
            )
            left -= sum(len(event.payload) for event in found)
            if found:
                self._at[partition] = found[-1].offset + 1
            inputs += [Raw(partition, e.offset, e.payload, e.received_ms) for e in found]
        return inputs

    def seek(self, partition: int, offset: int) -> None:
        """Continue *partition* at *offset*; one that is not held (any more) is left alone."""
        if partition in self._held:
            self._at[partition] = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the offsets after the last events."""
        stream = self._stream
        with self._database.read() as connection:
            return events.ends(connection, stream, partitions)

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell: the positions are in the same database."""

    def close(self) -> None:
        """Let others have the partitions at once."""
        if self._found is None:
            return
        try:
            with self._database.write() as connection:
                event_leases.release(connection, self._found, self.reader)
        except StoreError as error:  # the lease ends by itself
            log.warning("lease_not_released", stream=self._name, error=str(error))
