"""A receiver gets the alert, signed, and later that it is over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_stream import write_demo_stream, write_settings
from tests.e2e.serving import serving
from tests.servers.waiting import wait_until
from tidegauge_alerts import verify

SECRET = "shared with the receiver"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; says 503 to the first try, as a busy receiver would."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.refusals = 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(503)
            self.send_header("Retry-After", "0")
        else:
            self.server.received.append((dict(self.headers), body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_hears_of_the_alert_and_of_its_end(tmp_path: Path, receiver: Receiver) -> None:
    hook = {"kind": "webhook", "url": receiver.url, "secret": SECRET, "allow_private": True}
    write_settings(tmp_path, receivers={"ops": hook, "log": {"kind": "log"}})
    # Forty quiet windows at the end: the smallest shift takes that many to be believed to be over.
    source = {"kind": "demo", "seed": 7, "limit": 140 * 300}
    stream = write_demo_stream(tmp_path, source=source, alerts={"receivers": ["ops", "log"]})
    with serving(stream, cwd=tmp_path) as service:
        wait_until(
            lambda: (
                service.json("/api/v1/alerts?state=resolved")["items"]
                and not service.json("/api/v1/alerts?state=firing")["items"]
                and any(m["status"] == "resolved" for m in receiver.messages())
            ),
            timeout=90,
            interval=0.5,
            what="all alerts to resolve",
        )
        known = {a["id"]: a for a in service.json("/api/v1/alerts?limit=1000")["items"]}
        incidents = {alert["incident"] for alert in known.values()}
        wait_until(
            lambda: told(receiver, "resolved") == incidents, timeout=60, what="every resolve"
        )
    assert told(receiver, "firing") == incidents, "nothing was lost to the refusal"

    now = time.time()
    for headers, body in receiver.received:
        assert verify(SECRET, headers, body, now)
        assert not verify("another secret", headers, body, now)
        assert not verify(SECRET, headers, body + b" ", now)
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.received]
    assert len(keys) == len(set(keys)), "each message once, when the receiver answers"

    first = next(m for m in receiver.messages() if m["status"] == "firing")
    assert first["stream"] == "demo"
    assert first["candidates"] > 0
    assert "%" in first["headline"]
    alert = first["alerts"][0]
    assert alert["state"] == "firing"
    assert not alert["band"][0] <= alert["observed"] <= alert["band"][1]
    assert first["lineage"]["baseline"] == known[alert["id"]]["baseline"]


def told(receiver: Receiver, status: str) -> set[str]:
    """Incidents that messages of a status spoke of."""
    return {m["incident"] for m in receiver.messages() if m["status"] == status}
