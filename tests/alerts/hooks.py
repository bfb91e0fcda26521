"""A real web server on loopback that receives messages and answers as it is told."""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.alerts.builders import NOON_MS
from tidegauge_alerts import WebhookReceiver
from tidegauge_alerts.transports import WebhookTransport


@dataclass(frozen=True)
class Received:
    """One request as it came: the body unparsed."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """Says nothing when a client hangs up before it has read all of the answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Hook:
    """The server. ``requests`` is what it got."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._status = 200
        self._headers: Mapping[str, str] = {}
        self._body = b""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.receive(self)

            def do_GET(self) -> None:
                hook.receive(self)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on; ``_`` in names of headers stands for ``-``."""
        self._status, self._body = status, body
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        received = Received(handler.command, handler.path, dict(handler.headers), body)
        self.requests.append(received)
        handler.send_response(self._status)
        for name, value in self._headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self._body)))
        handler.end_headers()
        handler.wfile.write(self._body)

    def close(self) -> None:
        """Stop: from now on connections are refused."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def transport(
    hook: Hook,
    *,
    path: str = "/hook",
    host: str = "127.0.0.1",
    secret: str | None = None,
    allow_private: bool = True,
    timeout_s: float = 10.0,
    **options: Any,
) -> WebhookTransport:
    """Return a transport to *hook* whose clock stands at noon."""
    receiver = WebhookReceiver(
        "ops", f"http://{host}:{hook.port}{path}", secret, timeout_s, allow_private
    )
    return WebhookTransport(receiver, lambda: NOON_MS, **options)


def message_of(headline: str) -> dict[str, Any]:
    return {"version": "1", "status": "firing", "headline": headline, "alerts": []}
