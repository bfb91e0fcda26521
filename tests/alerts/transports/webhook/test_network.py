"""Whom a webhook may reach: only the open internet, unless it is told otherwise."""

import socket
import threading
from collections.abc import Sequence

import pytest

from tests.alerts.hooks import Hook, message_of, transport
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.network import is_public, resolve


class Names:
    """A resolver that answers as told, one answer after the other, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def deliver(hook: Hook, **options: object) -> Outcome:
    return transport(hook, **options).deliver(message_of("x"), "key-1")  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"])
def test_loopback_is_refused_by_default_however_it_is_written(hook: Hook, host: str) -> None:
    outcome = deliver(hook, host=host, allow_private=False)
    assert isinstance(outcome, Refused)
    assert "is private; if this is intentional, set allow_private: true" in outcome.why
    assert hook.requests == []


def test_a_name_that_resolves_to_loopback_is_refused(hook: Hook) -> None:
    outcome = deliver(
        hook, host="hooks.example.com", allow_private=False, resolver=Names(["127.0.0.1"])
    )
    assert isinstance(outcome, Refused)
    assert "its address 127.0.0.1 is private" in outcome.why
    assert hook.requests == []


def test_one_private_address_among_public_ones_is_enough(hook: Hook) -> None:
    names = Names(["93.184.215.14", "127.0.0.1"])
    assert isinstance(
        deliver(hook, host="hooks.example.com", allow_private=False, resolver=names), Refused
    )


def test_a_name_is_resolved_once_and_the_checked_address_is_used(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when checked, loopback when connected to."""
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    outcome = deliver(hook, host="hooks.example.com", allow_private=False, resolver=names)
    assert isinstance(outcome, Retry)
    assert connected == ["93.184.215.14"]
    assert names.asked == [("hooks.example.com", hook.port)]


def test_each_delivery_is_checked_anew(hook: Hook) -> None:
    """A name that was public yesterday may be private today."""
    names = Names(["127.0.0.1"])
    allowed = transport(hook, host="hooks.example.com", resolver=names)
    allowed.deliver(message_of("x"), "key-1")
    allowed.deliver(message_of("x"), "key-2")
    assert len(names.asked) == 2


def test_private_addresses_are_reached_where_they_are_allowed(hook: Hook) -> None:
    assert deliver(hook, allow_private=True) == Delivered()


def test_the_host_header_is_the_name_not_the_address(hook: Hook) -> None:
    names = Names(["127.0.0.1"])
    assert deliver(hook, host="hooks.example.com", resolver=names) == Delivered()
    assert hook.requests[0].headers["Host"] == f"hooks.example.com:{hook.port}"


def test_tls_asks_for_the_name_not_the_address() -> None:
    """SNI is in the first bytes that a TLS client sends, unencrypted."""
    hello: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                hello.append(connection.recv(65_536))

        thread = threading.Thread(target=accept)
        thread.start()
        port = server.getsockname()[1]
        outcome = https_to("hooks.example.com", port, Names(["127.0.0.1"]))
        thread.join()
    assert isinstance(outcome, Retry)
    assert b"hooks.example.com" in hello[0]


def https_to(host: str, port: int, names: Names) -> Outcome:
    from tidegauge_alerts import WebhookReceiver
    from tidegauge_alerts.transports import WebhookTransport

    receiver = WebhookReceiver("ops", f"https://{host}:{port}/", allow_private=True)
    return WebhookTransport(receiver, lambda: 0, resolver=names).deliver(message_of("x"), "key-1")


def test_a_plain_server_under_https_is_tried_again(hook: Hook) -> None:
    outcome = https_to("127.0.0.1", hook.port, Names(["127.0.0.1"]))
    assert isinstance(outcome, Retry)
    assert hook.requests == []


def test_the_next_address_is_tried_when_one_does_not_answer(hook: Hook) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    assert deliver(hook, host="hooks.example.com", resolver=names) == Delivered()


def test_a_refused_connection_is_tried_again(hook: Hook) -> None:
    hook.close()
    outcome = deliver(hook)
    assert isinstance(outcome, Retry)
    assert "refused" in outcome.why.lower()


def test_a_name_that_does_not_resolve_is_tried_again(hook: Hook) -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    outcome = deliver(hook, host="hooks.example.com", resolver=unknown)
    assert isinstance(outcome, Retry)
    assert "the host name cannot be resolved" in outcome.why


def test_a_name_without_addresses_is_tried_again(hook: Hook) -> None:
    assert isinstance(deliver(hook, host="hooks.example.com", resolver=Names([])), Retry)


def test_names_that_cannot_be_names_do_not_resolve() -> None:
    with pytest.raises(OSError, match="not a host name"):
        resolve("a" * 64 + ".example", 80)


def test_resolving_an_address_gives_it_back_once() -> None:
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",  # metadata at Alibaba
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",  # the host at Azure
        "169.254.169.254",  # metadata at AWS, Azure, Google
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",  # metadata at Oracle
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fc00::1",
        "fd00:ec2::254",  # metadata at AWS
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "192.1.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::1",
    ],
)
def test_addresses_of_the_open_internet(address: str) -> None:
    assert is_public(address)
