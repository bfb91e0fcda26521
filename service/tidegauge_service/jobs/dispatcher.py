"""Send what waits in the outbox; a message is marked sent only after its receiver said yes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import structlog

from tidegauge_alerts.silences import parse_mute
from tidegauge_alerts.transports import Delivered, Retry, Transport
from tidegauge_alerts.transports.backoff import delay_s, given_up
from tidegauge_service.clock import Clock
from tidegauge_service.store import streams
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.alerting.outbox import Outgoing, Whose
from tidegauge_service.store.engine import Database

log = structlog.get_logger()

LEASE_MS = 60_000
MOST_PER_TICK = 100

MOST_CAUSES = 20
"""Causes remembered of a receiver, so that each is logged once."""


class Dispatcher:
    """Delivers messages to receivers, one after the other.

    *only*: messages to these receivers; *other_than*: not those to these.
    """

    def __init__(
        self,
        database: Database,
        transports: Mapping[str, Transport],
        clock: Clock,
        *,
        only: Sequence[str] | None = None,
        other_than: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._transports = transports
        self._clock = clock
        self._whose = Whose(only, other_than)
        self._logged: dict[str, set[tuple[str, str]]] = {}
        """Receiver → what was logged of it, until it takes a message again."""
        self._random = random.Random()  # noqa: S311  (jitter)

    def tick(self) -> int:
        """Deliver what is due; return how many messages were tried."""
        if not self._is_due():
            return 0  # as nearly always: then nothing is locked
        muted = self._muted(self._clock())
        for tried in range(MOST_PER_TICK):
            # A transaction before and one after each message: none is open while it is sent.
            with self._database.write() as connection:
                outgoing = outbox.lease(connection, self._clock(), LEASE_MS, muted, self._whose)
            if outgoing is None:
                return tried
            self._send(outgoing)
        return MOST_PER_TICK

    def _is_due(self) -> bool:
        with self._database.read() as connection:
            return outbox.is_due(connection, self._clock(), LEASE_MS, self._whose)

    def _muted(self, now_ms: int) -> list[int]:
        """Return the streams of which nobody is to be told now, of all those in the database."""
        with self._database.read() as connection:
            written = streams.mutes(connection)
        times = {stream: [parse_mute(text) for text in texts] for stream, texts in written.items()}
        return [stream for stream, mute in times.items() if any(m.covers(now_ms) for m in mute)]

    def _send(self, outgoing: Outgoing) -> None:
        transport = self._transports.get(outgoing.receiver)
        if transport is None:
            why = f"no receiver '{outgoing.receiver}' in the settings of this process"
            self._count_and_commit(outgoing, outbox.FAILED, why)
            return
        outcome = transport.deliver(outgoing.message, outgoing.dedup_key)
        if isinstance(outcome, Delivered):
            self._logged.pop(outgoing.receiver, None)
            self._count_and_commit(outgoing, outbox.SENT, None)
        elif isinstance(outcome, Retry) and not self._given_up(outgoing):
            wait = delay_s(outgoing.attempts + 1, self._random.random())
            self._wait(outgoing, max(wait, outcome.after_s or 0), outcome.why)
        else:
            self._count_and_commit(outgoing, outbox.FAILED, outcome.why)

    def _given_up(self, outgoing: Outgoing) -> bool:
        return given_up(outgoing.created_ms, self._clock(), outgoing.attempts + 1)

    def _count_and_commit(self, outgoing: Outgoing, state: str, why: str | None) -> None:
        if why is not None and self._is_new(outgoing.receiver, "notification_failed", why):
            log.error("notification_failed", receiver=outgoing.receiver, why=why)
        with self._database.write() as connection:
            outbox.settle(connection, outgoing, state=state, now_ms=self._clock(), error=why)

    def _is_new(self, receiver: str, event: str, why: str) -> bool:
        """Whether to log it: a receiver that refuses all messages for one reason is one line.

        How many there are is on /metrics and in `tidegauge doctor`.
        """
        logged = self._logged.setdefault(receiver, set())
        if (event, why) in logged:
            return False
        if len(logged) >= MOST_CAUSES:  # words that differ each time must not fill the memory
            logged.clear()
        logged.add((event, why))
        return True

    def _wait(self, outgoing: Outgoing, seconds: float, why: str) -> None:
        if self._is_new(outgoing.receiver, "notification_waits", why):
            log.warning("notification_waits", receiver=outgoing.receiver, why=why, seconds=seconds)
        now = self._clock()
        due = now + int(seconds * 1000)
        with self._database.write() as connection:
            outbox.settle(
                connection, outgoing, state=outbox.WAITING, now_ms=now, due_ms=due, error=why
            )
