"""What a receiver gets."""

import json
import re

import pytest

from tests.alerts.builders import NOON_MS, context, fired, shifted
from tests.alerts.hooks import Hook, message_of, transport
from tidegauge_alerts import Rule, messages_of, verify
from tidegauge_alerts.transports import Delivered, Refused

NOON_S = NOON_MS // 1000


def test_a_message_arrives_as_it_is(hook: Hook) -> None:
    (message,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")
    assert transport(hook).deliver(message.body, message.dedup_key) == Delivered()
    (request,) = hook.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert json.loads(request.body) == message.body


def test_the_headers_say_who_what_when_and_which(hook: Hook) -> None:
    transport(hook).deliver(message_of("x"), "key-1")
    headers = hook.requests[0].headers
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"tidegauge/\S+", headers["User-Agent"])
    assert headers["Idempotency-Key"] == "key-1"
    assert headers["Tidegauge-Timestamp"] == str(NOON_S)
    assert headers["Host"] == f"127.0.0.1:{hook.port}"
    assert headers["Content-Length"] == str(len(hook.requests[0].body))


def test_with_a_secret_the_receiver_can_verify_it(hook: Hook) -> None:
    transport(hook, secret="s3cr3t").deliver(message_of("Blind spot 34,8 % → 63,1 %"), "key-1")
    (request,) = hook.requests
    assert verify("s3cr3t", request.headers, request.body, NOON_S)
    assert not verify("s3cr3t", request.headers, request.body + b"\n", NOON_S)
    assert not verify("s3cr3t", request.headers, request.body, NOON_S + 301)
    assert not verify("guess", request.headers, request.body, NOON_S)


def test_without_a_secret_there_is_no_signature(hook: Hook) -> None:
    transport(hook).deliver(message_of("x"), "key-1")
    assert "Tidegauge-Signature" not in hook.requests[0].headers


def test_a_second_attempt_has_the_same_key_and_body_and_a_new_time(hook: Hook) -> None:
    now = iter([NOON_MS, NOON_MS + 5_000])
    sender = transport(hook, secret="s3cr3t")
    sender._clock = lambda: next(now)
    for _ in range(2):
        sender.deliver(message_of("x"), "key-1")
    one, two = hook.requests
    assert one.body == two.body
    assert one.headers["Idempotency-Key"] == two.headers["Idempotency-Key"]
    assert int(two.headers["Tidegauge-Timestamp"]) == NOON_S + 5
    assert verify("s3cr3t", two.headers, two.body, NOON_S + 5)


def test_path_and_query_are_kept(hook: Hook) -> None:
    transport(hook, path="/a%20b/c?d=e%2Ff&g").deliver(message_of("x"), "key-1")
    assert hook.requests[0].path == "/a%20b/c?d=e%2Ff&g"


@pytest.mark.parametrize("key", ["a\r\nEvil: 1", "a\x00b"])
def test_a_key_that_would_forge_a_header_is_not_sent(hook: Hook, key: str) -> None:
    assert isinstance(transport(hook).deliver(message_of("x"), key), Refused)
    assert hook.requests == []


def test_hostile_text_is_sent_as_ascii(hook: Hook) -> None:
    transport(hook).deliver(message_of("→ \ud800 \x00"), "key-1")
    assert hook.requests[0].body.isascii()
    assert json.loads(hook.requests[0].body)["headline"] == "→ \ud800 \x00"


def test_the_environments_proxy_is_not_used(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert transport(hook).deliver(message_of("x"), "key-1") == Delivered()
