"""A receiver of each kind that is delivered to over HTTP, at a server of the tests' own."""

from typing import Any

from tests.alerts.builders import NOON_MS
from tests.alerts.hooks import Hook
from tidegauge_alerts import parse_receivers
from tidegauge_alerts.receivers import Receiver
from tidegauge_alerts.transports import Transport, transport_for

SECRET = "a1" * 16
"""The secret of each kind: 32 letters and digits, as PagerDuty's must be."""

KINDS = ("webhook", "slack", "slack bot", "pagerduty", "teams", "alertmanager")

YES: dict[str, tuple[int, bytes]] = {
    "webhook": (200, b""),
    "slack": (200, b"ok"),
    "slack bot": (200, b'{"ok":true,"ts":"1.2"}'),
    "pagerduty": (202, b'{"status":"success"}'),
    "teams": (202, b""),
    "alertmanager": (200, b""),
}
"""Kind → how its service says yes."""


def config(kind: str, port: int, **changes: Any) -> dict[str, Any]:
    """Return the settings of a receiver."""
    at = f"http://127.0.0.1:{port}"
    own: dict[str, dict[str, Any]] = {
        "webhook": {"url": f"{at}/{SECRET}", "secret": SECRET},
        "slack": {"url": f"{at}/{SECRET}"},
        "slack bot": {"token": SECRET, "channel": "#ops", "api_url": f"{at}/api"},
        "pagerduty": {"url": f"{at}/v2/enqueue", "routing_key": SECRET},
        "teams": {"url": f"{at}/{SECRET}?sig={SECRET}"},
        "alertmanager": {"urls": [at], "token": SECRET},
    }
    return {"kind": kind.partition(" ")[0], **own[kind], "allow_private": True, **changes}


def receiver(kind: str, port: int, **changes: Any) -> Receiver:
    return parse_receivers({"ops": config(kind, port, **changes)})["ops"]


def transport_to(kind: str, hook: Hook, **changes: Any) -> Transport:
    """Return a transport whose clock stands at noon."""
    return transport_for(receiver(kind, hook.port, **changes), lambda: NOON_MS)


def say_yes(kind: str, hook: Hook) -> None:
    status, body = YES[kind]
    hook.answer(status, body)
