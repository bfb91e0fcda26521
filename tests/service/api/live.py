"""The application behind a real server on loopback, spoken to byte by byte."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from tests.service.api.site import TOKEN
from tidegauge_service.runtime.server import Server

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW_POST = (
    b"POST /api/v1/streams/test/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    b"Expect: 100-continue\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n\r\n"
    % TOKEN.encode()
)


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer; a body of JSON as its value."""

    status: int
    headers: dict[str, str]
    body: Any


class Wire(socket.socket):
    """A connection of a client."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._unread = b""
        self.settimeout(20)
        self.connect(("127.0.0.1", port))

    def answer(self) -> Answer:
        """Read one answer; keep what has come of the next."""
        data = self._unread
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        while len(body) < length:
            body += self._more()
        body, self._unread = body[:length], body[length:]
        value = json.loads(body) if "json" in headers["content-type"] else body
        return Answer(int(status.split()[1]), headers, value)

    def _more(self) -> bytes:
        found = self.recv(65_536)
        if not found:
            raise ConnectionError("the server closed the connection")
        return found

    def ended(self) -> bool:
        """Wait for the server to close the connection."""
        try:
            while self.recv(65_536):
                pass
        except ConnectionError:
            pass
        return True


@contextmanager
def live(app: FastAPI) -> Iterator[int]:
    """Serve until the block ends; give the port."""
    stopping = threading.Event()
    server = Server(app, "127.0.0.1", 0, stopping)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.bound.wait(20)
        yield server.port
    finally:
        stopping.set()
        thread.join()
