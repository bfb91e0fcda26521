"""What `doctor` finds out about receivers without sending anything."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.alerts.test_receiver_kinds import GOOD
from tidegauge_alerts import ReceiverError, parse_receivers
from tidegauge_alerts.transports.preflight import check_receiver

AM = {"urls": ["https://am-0.example.com", "https://am-1.example.com:9093/x"]}


def parsed(kind: str, **changes: Any) -> Any:
    return parse_receivers({"ops": {"kind": kind, **GOOD[kind], **changes}})["ops"]


def public(_host: str, _port: int) -> Sequence[str]:
    return ["93.184.215.14"]


@pytest.mark.parametrize(
    ("kind", "changes", "shown"),
    [
        ("log", {}, "log"),
        ("slack", {}, "slack at https://hooks.example.com"),
        ("pagerduty", {}, "pagerduty at https://events.pagerduty.com"),
        ("teams", {}, "teams at https://hooks.example.com"),
        ("email", {}, "email at smtp.example.com:587"),
        ("alertmanager", AM,
         "alertmanager at https://am-0.example.com, https://am-1.example.com:9093"),
    ],
)  # fmt: skip
def test_a_receiver_is_named_without_its_secrets(
    kind: str, changes: dict[str, Any], shown: str
) -> None:
    assert check_receiver(parsed(kind, **changes), public) == shown


def test_every_host_and_port_that_is_connected_to_is_looked_up() -> None:
    asked: list[tuple[str, int]] = []

    def note(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["93.184.215.14"]

    check_receiver(parsed("email", tls="tls"), note)
    check_receiver(parsed("alertmanager", **AM), note)
    assert asked == [
        ("smtp.example.com", 465),
        ("am-0.example.com", 443),
        ("am-1.example.com", 9093),
    ]


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "teams", "email", "alertmanager"])
def test_a_private_address_is_told_before_a_message_is_lost(kind: str) -> None:
    def private(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(ReceiverError, match=r"its address 10\.0\.0\.1 is private, so every"):
        check_receiver(parsed(kind), private)
    assert check_receiver(parsed(kind, allow_private=True), private)


def test_one_replica_that_is_private_is_enough() -> None:
    def second_is_private(host: str, _port: int) -> Sequence[str]:
        return ["10.0.0.1" if host.startswith("am-1") else "93.184.215.14"]

    with pytest.raises(ReceiverError, match=r"at https://am-1\.example\.com:9093: its address"):
        check_receiver(parsed("alertmanager", **AM), second_is_private)
