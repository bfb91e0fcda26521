"""A thread for each receiver: one that hangs delays its own messages and nobody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from tidegauge_alerts.transports import Delivered, Transport
from tidegauge_alerts.transports.protocol import Outcome
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.clock import Clock
from tidegauge_service.jobs.dispatcher import Dispatcher
from tidegauge_service.store.engine import Database

log = structlog.get_logger()

TICK_S: Final = 1.0

HANGS_S: Final = 10.0
"""A receiver that has not answered for so long is in trouble, whatever comes of it."""


class WatchedTransport:
    """A transport that says what is wrong with its receiver, also while it is waited for."""

    def __init__(
        self, transport: Transport, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._monotonic = monotonic
        self._since_s: float | None = None
        self._problem: str | None = None

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Try once to deliver a message, and remember what came of it."""
        self._since_s = self._monotonic()
        try:
            outcome = self._transport.deliver(message, dedup_key)
        finally:
            self._since_s = None
        self._problem = None if isinstance(outcome, Delivered) else outcome.why
        return outcome

    @property
    def trouble(self) -> str | None:
        """What is wrong now; the words stay the same for as long as it lasts."""
        since = self._since_s
        if since is not None and self._monotonic() - since > HANGS_S:
            return f"it takes a message, but has not answered for more than {HANGS_S:g} s"
        return self._problem


class Receivers:
    """Delivers to all receivers at once. Those of no settings here share one more thread."""

    def __init__(
        self, database: Database, transports: Mapping[str, Transport], clock: Clock
    ) -> None:
        self._watched = {name: WatchedTransport(t) for name, t in transports.items()}
        self._failures: dict[str, str] = {}
        names = tuple(transports)
        own = {
            name: Dispatcher(database, {name: watched}, clock, only=(name,))
            for name, watched in self._watched.items()
        }
        others = Dispatcher(database, {}, clock, other_than=names)
        self._dispatchers: dict[str, Dispatcher] = {**own, "(unknown)": others}
        self._threads: Sequence[threading.Thread] = ()

    def start(self, stopping: threading.Event) -> None:
        """Deliver until *stopping*."""

        def go_on(name: str, dispatcher: Dispatcher) -> None:
            while not stopping.is_set():
                self._tick(name, dispatcher)
                stopping.wait(TICK_S)

        self._run(go_on)

    def deliver_once(self) -> None:
        """Try everything that is due once; wait for it with ``join``."""
        self._run(self._tick)

    def join(self, seconds: float, stopping: threading.Event | None = None) -> None:
        """Wait for the threads, but no longer than *seconds*, nor after *stopping*.

        One that hangs is left behind, which loses nothing: its message was not marked as sent.
        """
        end = time.monotonic() + seconds
        for thread in self._threads:
            while thread.is_alive() and (left := end - time.monotonic()) > 0:
                if stopping is not None and stopping.is_set():
                    return
                thread.join(min(left, 0.2))

    def troubles(self) -> dict[str, str | None]:
        """Return what is wrong with each receiver now, by its name; None: nothing."""
        return {
            name: self._failures.get(name) or (watched.trouble if watched else None)
            for name, watched in ((n, self._watched.get(n)) for n in self._dispatchers)
        }

    def _run(self, target: Callable[[str, Dispatcher], None]) -> None:
        # Daemons: a receiver that hangs, or a resolver, must not hold up the end of the process.
        self._threads = [
            threading.Thread(target=target, args=item, name=f"receiver-{item[0]}", daemon=True)
            for item in self._dispatchers.items()
        ]
        for thread in self._threads:
            thread.start()

    def _tick(self, name: str, dispatcher: Dispatcher) -> None:
        try:
            dispatcher.tick()
        except TidegaugeError as error:
            self._failures[name] = str(error)
        except Exception:
            log.exception("delivery_failed", receiver=name)
            self._failures[name] = "an unexpected error: see the log"
        else:
            self._failures.pop(name, None)
