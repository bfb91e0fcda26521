"""What Alertmanager gets: every replica, with an identity that does not change."""

import base64
import json
import socket
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.alerts.builders import NOON_MS, context, fired, shifted
from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import SECRET
from tests.alerts.limits import check_alertmanager
from tests.servers.alertmanager import AlertmanagerServer
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.receivers import AlertmanagerReceiver
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.alertmanager.transport import AlertmanagerTransport

(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")
CRITICAL = {**MESSAGE.body, "severity": "critical"}
WARNING = {**MESSAGE.body, "alerts": [{"severity": "warning", "text": "x"}]}
RESOLVED = {**MESSAGE.body, "status": "resolved"}


@pytest.fixture
def second() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


def deliver(*hooks: Hook, body: Any = CRITICAL, **options: Any) -> Outcome:
    urls = tuple(f"http://127.0.0.1:{hook.port}" for hook in hooks)
    receiver = AlertmanagerReceiver("am", urls, allow_private=True, **options)
    return AlertmanagerTransport(receiver, lambda: NOON_MS).deliver(body, "key-1")


def posted(hook: Hook, body: Any, **options: Any) -> dict[str, Any]:
    """Return severity → alert."""
    assert deliver(hook, body=body, **options) == Delivered()
    alerts = json.loads(hook.requests[-1].body)
    check_alertmanager(alerts)
    return {alert["labels"]["severity"]: alert for alert in alerts}


def at(alert: Any, key: str = "endsAt") -> int:
    return round(datetime.fromisoformat(alert[key]).timestamp() * 1000)


def test_a_firing_alert_ends_after_the_horizon(hook: Hook) -> None:
    alert = posted(hook, CRITICAL, ends_after_s=3600, labels={"team": "spam"})["critical"]
    assert hook.requests[0].path == "/api/v2/alerts"
    assert at(alert) - NOON_MS == 3_600_000
    assert alert["labels"] == {
        "alertname": "TidegaugeIncident",
        "stream": "spam",
        "incident": MESSAGE.body["group_key"],
        "severity": "critical",
        "team": "spam",
    }
    assert alert["annotations"]["link_overview"] == "https://x.example/"
    assert at(posted(hook, CRITICAL)["critical"]) - NOON_MS == 7 * 86_400_000


def test_figures_are_not_part_of_the_identity(hook: Hook) -> None:
    one = posted(hook, CRITICAL)["critical"]
    two = posted(hook, {**CRITICAL, "headline": "other", "candidates": 99, "event": "settled"})
    assert one["labels"] == two["critical"]["labels"]
    assert one["annotations"] != two["critical"]["annotations"]


def test_a_resolve_ends_it_now_whatever_severity_it_had(hook: Hook) -> None:
    fired = {**posted(hook, WARNING), **posted(hook, CRITICAL)}
    ended = posted(hook, RESOLVED)
    assert set(ended) == {"info", "warning", "critical"}
    for severity in ("warning", "critical"):
        assert ended[severity]["labels"] == fired[severity]["labels"]
        assert NOON_MS - 10_000 < at(ended[severity]) < NOON_MS


def test_an_incident_that_becomes_graver_ends_as_a_warning(hook: Hook) -> None:
    graver = posted(hook, CRITICAL)
    assert at(graver["critical"]) > NOON_MS > at(graver["warning"])
    assert "critical" not in posted(hook, WARNING), "another alert of it may still be critical"


def test_all_replicas_get_it_and_all_must_say_yes(hook: Hook, second: Hook) -> None:
    assert deliver(hook, second) == Delivered()
    assert hook.requests[0].body == second.requests[0].body
    hook.answer(503, Retry_After="60")
    outcome = deliver(hook, second)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 60
    assert str(hook.port) in outcome.why
    assert str(second.port) not in outcome.why
    assert len(second.requests) == 2, "the first one's failure does not keep it from the second"


def test_a_replica_that_refuses_is_told_once_the_others_are_done(hook: Hook, second: Hook) -> None:
    hook.answer(400)
    second.answer(500)
    assert isinstance(deliver(hook, second), Retry)
    second.answer(200)
    outcome = deliver(hook, second)
    assert isinstance(outcome, Refused)
    assert "check urls, user, password and token" in outcome.why


def test_a_replica_that_hangs_leaves_time_for_the_next(hook: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        urls = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{hook.port}/am/")
        receiver = AlertmanagerReceiver("am", urls, timeout_s=0.8, allow_private=True)
        outcome = AlertmanagerTransport(receiver, lambda: NOON_MS).deliver(CRITICAL, "key-1")
    assert isinstance(outcome, Retry)
    assert "no answer within 0.8 s" in outcome.why
    assert [request.path for request in hook.requests] == ["/am/api/v2/alerts"]


def test_credentials_are_sent(hook: Hook) -> None:
    deliver(hook, token=SECRET)
    deliver(hook, user="u", password="pä:ss")
    bearer, basic = (request.headers["Authorization"] for request in hook.requests)
    assert bearer == f"Bearer {SECRET}"
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "u:pä:ss"


def test_the_real_one_fires_and_resolves_each_once() -> None:
    """Real Alertmanager: it takes the payload, changes severity, and ends all of it."""
    import time

    server = AlertmanagerServer()
    server.start()
    try:
        receiver = AlertmanagerReceiver("am", (server.url,), allow_private=True)
        sender = AlertmanagerTransport(receiver, lambda: int(time.time() * 1000))

        def firing(body: Any) -> list[str]:
            assert sender.deliver(body, "key-1") == Delivered()
            return [alert["labels"]["severity"] for alert in server.alerts()]

        assert firing(WARNING) == ["warning"]
        assert firing(CRITICAL) == ["critical"]
        assert firing(CRITICAL) == ["critical"]
        assert firing(RESOLVED) == []
    finally:
        server.close()
