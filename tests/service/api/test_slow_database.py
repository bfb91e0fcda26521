"""While the database hangs: liveness answers at once, all else says when to come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from tests.service.api.live import HEALTH, Wire, live
from tests.service.api.site import Site
from tidegauge_service.errors import StoreError
from tidegauge_service.store import engine
from tidegauge_service.store.engine import Database

STREAMS = b"GET /api/v1/streams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n"
THREADS = 40
"""What anyio gives to plain `def` routes."""


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Make the database hang; give what counts the requests that wait for it."""
    waiting, may = threading.Semaphore(0), threading.Event()

    def hang(_database: Database) -> NoReturn:
        waiting.release()
        may.wait(60)
        msg = "it hangs"
        raise StoreError(msg)

    monkeypatch.setattr(Database, "read", hang)
    yield waiting
    may.set()


def test_liveness_needs_neither_a_thread_nor_the_database(
    site: Site, hanging: threading.Semaphore
) -> None:
    with live(site.app) as port:
        wires = [Wire(port) for _ in range(THREADS + 20)]
        for wire in wires:
            wire.sendall(STREAMS)
        assert all(hanging.acquire(timeout=20) for _ in range(THREADS)), "no thread is free"
        for path, status in ((b"healthz", 200), (b"readyz", 200), (b"metrics", 401), (b"x", 401)):
            with Wire(port) as wire:
                wire.settimeout(5)
                wire.sendall(HEALTH.replace(b"healthz", path))
                assert wire.answer().status == status
        for wire in wires:
            wire.close()


def test_when_all_connections_are_used_others_are_told_to_come_back(
    any_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(any_site.database.engine.pool, "_timeout", 0.2)
    used = [any_site.database.engine.connect() for _ in range(15)]
    try:
        with ThreadPoolExecutor(4) as callers:
            paths = ["/api/v1/streams", "/", "/api/v1/candidates?format=csv", "/api/v1/alerts"]
            answers = list(callers.map(any_site.client.get, paths))
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert f"in use for {engine.POOL_PATIENCE_S} s" in answer.json()["detail"]
        assert any_site.client.get("/metrics").status_code == 200, "with tidegauge_snapshot_up 0"
    finally:
        for connection in used:
            connection.close()
    assert any_site.client.get("/api/v1/streams").status_code == 200


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///x.db"])
def test_the_patience_suits_the_kind_of_pool(url: str) -> None:
    Database(url).close()
