"""A TCP proxy in the way to a server: it can cut the connections, or let them hang."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

from tests.servers.ports import HOST, free_port


class Proxy:
    """Forwards connections to ``host:port``.

    ``cut``: open connections are reset, new ones refused. ``freeze``: nothing moves and nothing
    is said, as when a cable is pulled. ``heal`` ends both; what was frozen goes on.
    """

    def __init__(self, target_port: int) -> None:
        self._target = (HOST, target_port)
        self.port = free_port()
        self._cut = threading.Event()
        self._closed = threading.Event()
        self._moving = threading.Event()
        self._moving.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = self._listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset what is open; refuse what comes."""
        self._cut.set()
        self._reset()

    def freeze(self) -> None:
        """Let every connection hang."""
        self._moving.clear()

    def heal(self) -> None:
        """Be a good network again."""
        self._cut.clear()
        self._moving.set()

    def close(self) -> None:
        """Stop."""
        self._closed.set()
        self.heal()
        self._reset()
        self._listener.close()
        self._thread.join(5)

    def _listen(self) -> socket.socket:
        listener = socket.create_server((HOST, self.port), backlog=64)
        listener.settimeout(0.2)
        return listener

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if self._cut.is_set():
                _abort(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._moving.wait()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _abort(client)
            return
        with self._lock:
            self._open |= {client, server}
        try:
            self._pump(client, server)
        finally:
            with self._lock:
                self._open -= {client, server}
            _abort(client)
            _abort(server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        """Copy both ways until either side ends."""
        for one in (client, server):
            one.settimeout(30)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with selectors.DefaultSelector() as ready, suppress(OSError, ValueError, KeyError):
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while not self._closed.is_set():
                for key, _ in ready.select(0.5):
                    self._moving.wait()
                    source: socket.socket = key.fileobj  # type: ignore[assignment]
                    data = source.recv(65_536)
                    if not data:
                        return
                    key.data.sendall(data)

    def _reset(self) -> None:
        with self._lock:
            opened = list(self._open)
        for one in opened:
            # Wakes the pump, which closes it: closing it here would hand its number to another.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _abort(connection: socket.socket) -> None:
    """Close with a reset, not with a farewell."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
