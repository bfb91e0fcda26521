"""A delivery ends in time, whatever the receiver does: the sender has others to serve."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.alerts.hooks import message_of
from tidegauge_alerts import WebhookReceiver
from tidegauge_alerts.transports import Delivered, Outcome, Retry, WebhookTransport

Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Run *serve* on one connection in a thread; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(10)
                try:
                    connection.recv(65_536)
                    serve(connection)
                except OSError:
                    return  # the sender has hung up, as it should

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def deliver(serve: Serve, timeout_s: float = 0.2, **options: object) -> Outcome:
    with server(serve) as port:
        receiver = WebhookReceiver(
            "ops", f"http://127.0.0.1:{port}/", timeout_s=timeout_s, allow_private=True
        )
        sender = WebhookTransport(receiver, lambda: 0, **options)
        return sender.deliver(message_of("x"), "key-1")


def hang(connection: socket.socket) -> None:
    """Answer nothing until the sender hangs up."""
    while connection.recv(65_536):
        pass


def test_a_receiver_that_hangs_is_tried_again() -> None:
    outcome = deliver(hang)
    assert isinstance(outcome, Retry)
    assert outcome.why.endswith("no answer within 0.2 s")


def test_an_answer_that_trickles_in_does_not_last_for_ever() -> None:
    """Each piece arrives in time; the whole never does. Here each read takes a second."""

    def trickle(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    seconds = itertools.count()
    outcome = deliver(trickle, timeout_s=20.0, monotonic=lambda: float(next(seconds)))
    assert isinstance(outcome, Retry)
    assert "no answer within 20 s" in outcome.why
    assert next(seconds) < 60


def test_an_endless_body_is_not_waited_for() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    assert deliver(endless, timeout_s=10.0) == Delivered()


def test_endless_headers_are_cut_off() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")

    outcome = deliver(endless, timeout_s=10.0)
    assert isinstance(outcome, Retry)
    assert "its response is not HTTP, or ended early" in outcome.why


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-evil\r\n", b"HTTP/1.1 evil\r\n\r\n", b"HTTP/1.1 200 OK\r\nX"]
)
def test_an_answer_that_is_not_http_is_tried_again(answer: bytes) -> None:
    outcome = deliver(lambda connection: connection.sendall(answer), timeout_s=10.0)
    assert isinstance(outcome, Retry)
    assert "evil" not in outcome.why


def test_a_status_that_does_not_exist_is_tried_again() -> None:
    outcome = deliver(
        lambda connection: connection.sendall(b"HTTP/1.1 999 Evil\r\n\r\n"), timeout_s=10.0
    )
    assert isinstance(outcome, Retry)
    assert outcome.why.endswith("it responded 999")
