"""Connections that bring no request: how long they may stay, and how many there may be.

uvicorn alone waits for ever for the first byte of a request and for the last one of its head, and
accepts until there are no descriptors left; then nobody is answered. Here every connection has a
deadline for whatever it owes us, and when there are too many, the one that has been waited for
longest makes room for the new one. Bodies that routes read have their deadline in ``bodies``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import (
    STATUS_PHRASES,
    H11Protocol,
    RequestResponseCycle,
)

from tidegauge_service.api.problems import RETRY_AFTER_S, Problem, problem_response

HEAD_S: Final = 10.0
"""A connection may take so long until the head of its (next) request is complete."""

LINGER_S: Final = 2.0
"""A client that is answered before its body has come may go on sending for so long. To close at
once would reset the connection, and the answer could be lost."""

WRITE_S: Final = 30.0
"""A client that takes nothing of its answer for so long is given up."""

NEW_S: Final = 1.0
SPARE: Final = 32
"""A connection that came less than ``NEW_S`` ago may stay while there are at most ``SPARE`` too
many: its request is on its way."""

URGENT: Final = frozenset({"/healthz"})
"""Answered even when there are too many connections."""


@dataclass
class OpenConnections:
    """All connections of a server.

    ``idle``: those without a request, and since when (s of the loop's clock), the longest first.
    """

    most: int
    idle: dict[TimedProtocol, float] = field(default_factory=dict)


def protocol(most: int) -> type[TimedProtocol]:
    """Return the protocol of one server, for uvicorn to make its connections of."""
    return type("TimedProtocol", (TimedProtocol,), {"open_connections": OpenConnections(most)})


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with deadlines and a limit of connections; see the module."""

    open_connections: OpenConnections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owed: asyncio.TimerHandle | None = None
        self._unsent: asyncio.TimerHandle | None = None
        self._lingers = self._refused = False

    # -- Coming and going ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; the one that has been idle longest goes if there are too many."""
        super().connection_made(transport)
        self._idle(HEAD_S)
        if not self._crowded():
            return
        oldest, since = next(iter(self.open_connections.idle.items()))
        new = self.loop.time() - since < NEW_S and not self._crowded(SPARE)
        if oldest is self or new:  # all others are being answered, or have only just come
            self.app = _unless(self._crowded, self.app)
        else:
            oldest.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        super().connection_lost(exc)
        self._busy()
        _cancel(self._unsent)

    def end(self) -> None:
        """Close the connection, whatever was still to come."""
        self._busy()
        self.transport.close()
        self._hurry()

    def _crowded(self, beyond: int = 0) -> bool:
        return len(self.connections) > self.open_connections.most + beyond

    # -- What the client owes us --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what has come; after an answer that ends the connection, nothing."""
        if not self._refused:
            super().data_received(data)

    def handle_events(self) -> None:
        """Handle what has come, and see what is owed now."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """Go on after an answer; a body that nobody has read is not waited for."""
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which no further request has begun."""
        if not self.transport.is_closing():
            self.end()

    def _watch(self) -> None:
        """Start or stop the clock of the request's head, or of a body that is not read."""
        cycle: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing():
            self._hurry()
        elif cycle is not None and not cycle.response_complete:
            self._busy()
        elif self._refused or self.conn.their_state is h11.SEND_BODY:
            self._idle(LINGER_S)
            self._lingers = True
        else:
            if self._lingers:  # the body has come to its end after all
                self._busy()
            self._idle(HEAD_S)

    def _idle(self, seconds: float) -> None:
        """Count the connection as idle; the clock of one that is idle already runs on."""
        if self not in self.open_connections.idle:
            self.open_connections.idle[self] = self.loop.time()
            self._owed = self.loop.call_later(seconds, self.end)

    def _busy(self) -> None:
        self.open_connections.idle.pop(self, None)
        self._lingers = False
        _cancel(self._owed)

    # -- What the client does not take --------------------------------------------------------

    def pause_writing(self) -> None:
        """Wait for a client to take what was sent, but not for ever."""
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        """Send on."""
        super().resume_writing()
        _cancel(self._unsent)

    def _hurry(self) -> None:
        """Give the client time to take what was sent; a closed connection waits for that, too."""
        _cancel(self._unsent)
        self._unsent = self.loop.call_later(WRITE_S, self.transport.abort)

    # -- What is not HTTP ---------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP as a problem, too, and close when it was read."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if self._refused or self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.end()
            return
        self._refused = True
        response = problem_response(Problem(status, "invalid_request", str(error or msg)))
        headers = [*response.raw_headers, CLOSE_HEADER]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _unless(crowded: Callable[[], bool], app: Any) -> Any:
    """Return an app that answers 503 while there are too many connections."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in URGENT or not crowded():
            await app(scope, receive, send)
            return
        detail = "too many connections are open: close those that you do not use, and try again"
        close = {"Connection": "close"}
        problem = Problem(503, "overloaded", detail, retry_after_s=RETRY_AFTER_S, headers=close)
        await problem_response(problem)(scope, receive, send)

    return answer
