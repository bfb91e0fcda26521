"""A webhook that takes notes, and is not always in the mood."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Mood = Callable[[], bool]
"""Decides about one request: whether to take it. It may take its time."""


class Receiver:
    """Counts deliveries by dedup key; only those it has answered with a yes.

    It refuses some: a share with 503, a share by hanging up after it has read the message.
    """

    def __init__(self, seed: int = 0, *, refusing: float = 0.0, mood: Mood = lambda: True) -> None:
        self.delivered: Counter[str] = Counter()
        self.refused = 0
        self._dice = random.Random(f"receiver:{seed}")
        self._refusing = refusing
        self._mood = mood
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.answer(self, self.headers["Idempotency-Key"])

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler, key: str) -> None:
        """Say yes and note it, or say no."""
        with self._lock:
            roll = self._dice.random()
        if not self._mood() or roll < self._refusing / 2:
            self.refused += 1
            request.close_connection = True
            return
        if roll < self._refusing:
            self.refused += 1
            request.send_response(503)
            request.send_header("Retry-After", "0")
            request.end_headers()
            return
        with self._lock:
            self.delivered[key] += 1
        request.send_response(204)
        request.end_headers()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Workers are killed in the middle of a request: nothing to say."""
