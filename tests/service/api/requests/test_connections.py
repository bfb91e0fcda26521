"""Slow, idle and too many connections: the service answers, whatever they do."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.waiting import wait_until
from tests.service.api.live import HEALTH, SLOW_POST, Wire, live
from tests.service.api.site import Site
from tidegauge_service.api.requests import connections
from tidegauge_service.logs import Throttle
from tidegauge_service.runtime import server

ANONYMOUS_POST = (
    b"POST /api/v1/streams/test/deployments HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the deadlines short."""
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    monkeypatch.setattr(connections, "LINGER_S", 0.3)
    monkeypatch.setattr(connections, "WRITE_S", 0.5)


@pytest.fixture
def port(site: Site, hasty: None) -> Iterator[int]:
    with live(site.app) as found:
        yield found


@pytest.mark.parametrize(
    "sent",
    [b"", b"GE", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: ", HEALTH + b"GET", HEALTH],
)
def test_a_connection_that_brings_no_request_is_closed(port: int, sent: bytes) -> None:
    with Wire(port) as wire:
        wire.sendall(sent)
        if sent.startswith(HEALTH):
            assert wire.answer().status == 200
        if sent != HEALTH:  # which has its keep-alive time
            assert wire.ended()


def test_bytes_that_drip_do_not_keep_it_open(port: int) -> None:
    with Wire(port) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nX: ")

        def drip() -> bool:
            try:
                wire.sendall(b"a")
            except ConnectionError:
                return True
            return False

        wait_until(drip, timeout=10, what="the connection to be closed")


@pytest.mark.parametrize("length", [10, 200_000, 300_000_000])
def test_an_answer_to_a_body_that_does_not_come_is_sent_at_once(port: int, length: int) -> None:
    with Wire(port) as wire:
        wire.sendall(ANONYMOUS_POST % length)
        assert wire.answer().status == 401
        assert wire.ended(), "and the body is not waited for"


def test_a_client_that_goes_on_sending_still_gets_its_answer(port: int) -> None:
    with Wire(port) as wire:
        wire.sendall(ANONYMOUS_POST % 4_000_000)
        wire.sendall(b" " * 2_000_000)
        assert wire.answer().status == 401
        assert wire.ended()


def test_a_connection_goes_on_after_a_body_that_nobody_read(port: int) -> None:
    with Wire(port) as wire:
        wire.sendall(ANONYMOUS_POST % 10 + b"0123456789" + HEALTH)
        assert wire.answer().status == 401
        assert wire.answer().status == 200
        wire.sendall(HEALTH)
        assert wire.answer().status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"not HTTP at all\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 501),
        (b"GET /api/v1/alerts/" + b"a" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000, 431),
    ],
)
def test_what_is_not_http_is_answered_as_a_problem(port: int, sent: bytes, status: int) -> None:
    with Wire(port) as wire:
        wire.sendall(sent)
        answer = wire.answer()
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.body["code"] == "invalid_request"
        assert wire.ended()


@pytest.mark.parametrize("host", [b"[", b"[::1", b"a b", b"\xff", b""])
def test_an_odd_host_is_no_error(port: int, host: bytes) -> None:
    with Wire(port) as wire:
        wire.sendall(b"GET /nowhere HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
        assert wire.answer().status in {400, 401}


def test_a_client_that_takes_nothing_is_given_up(
    site: Site, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    @site.app.get("/login/large")
    def large() -> str:
        return "x" * 30_000_000

    with live(site.app) as port, Wire(port) as wire:
        request = b"GET /login/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n"
        wire.sendall(request)
        assert wire.recv(10)
        with Wire(port) as other:
            other.sendall(HEALTH)
            assert other.answer().status == 200
        wait_until(lambda: not open_connections(port), timeout=10, what="it to be given up")


def open_connections(port: int) -> list[str]:
    """Return the server's established connections, as Linux lists them."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines]
    return [row[2] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]


@pytest.fixture
def crowded_port(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give a server that takes 20 connections."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 20)
    with live(site.app) as found:
        yield found


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX: ", ANONYMOUS_POST % 1_000])
def test_idle_connections_make_room(crowded_port: int, sent: bytes) -> None:
    with ExitStack() as wires:
        idle = list[Wire]()
        for _ in range(100):
            idle.append(wires.enter_context(Wire(crowded_port)))
            idle[-1].sendall(sent)
        for _ in range(30):
            with Wire(crowded_port) as wire:
                wire.sendall(HEALTH)
                assert wire.answer().status == 200
        assert all(wire.ended() for wire in idle[:40]), "those that were idle longest"


def test_when_all_are_busy_others_are_told_to_come_back(crowded_port: int) -> None:
    with ExitStack() as wires:
        for _ in range(20):
            wire = wires.enter_context(Wire(crowded_port))
            wire.sendall(SLOW_POST)
            assert wire.recv(100).startswith(b"HTTP/1.1 100 Continue"), "its body is waited for"
        for _ in range(3):
            with Wire(crowded_port) as wire:
                wire.sendall(HEALTH.replace(b"healthz", b"readyz"))
                answer = wire.answer()
            assert (answer.status, answer.body["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["connection"] == "close"
        with Wire(crowded_port) as wire:
            wire.sendall(HEALTH)
            assert wire.answer().status == 200, "it is alive all the same"


def test_descriptors_are_left_for_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((512, 256), (300, 44), (64, 16), (65_536, 1_000), (-1, 1_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _kind, soft=soft: (soft, soft))
        assert server.most_connections() == most


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to = list[tuple[int, int]]()
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, limits: set_to.append(limits))
    for limits in ((512, 4_096), (512, 512), (512, -1), (-1, -1), (100_000, 200_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _kind, limits=limits: limits)
        server.raise_descriptor_limit()
    assert set_to == [(4_096, 4_096), (65_536, -1)]


def test_lines_that_strangers_cause_are_few(caplog: pytest.LogCaptureFixture) -> None:
    logger, throttle = logging.getLogger("throttled"), Throttle(seconds=10)
    logger.addFilter(throttle)
    for second in (0, 1, 2, 9, 11, 12, 30):
        record = logger.makeRecord("throttled", logging.WARNING, "", 0, "bad", (), None)
        record.created = 1_000.0 + second
        logger.handle(record)
    assert caplog.messages == [
        "bad",
        "bad (3 more like this before)",
        "bad (1 more like this before)",
    ]
