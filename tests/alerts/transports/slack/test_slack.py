"""What Slack gets, by an incoming webhook and as a bot, and what its answers mean."""

import json
from typing import Any

import pytest

from tests.alerts.builders import context, fired, shifted
from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import SECRET, say_yes, transport_to
from tests.alerts.limits import check_slack
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.slack.payload import neutral, payload

(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")


def sent(kind: str, hook: Hook, **changes: Any) -> Any:
    say_yes(kind, hook)
    body = {**MESSAGE.body, **changes}
    assert transport_to(kind, hook).deliver(body, MESSAGE.dedup_key) == Delivered()
    return json.loads(hook.requests[-1].body)


def texts(payload: Any) -> list[str]:
    blocks = payload["blocks"]
    return [b["text"]["text"] for b in blocks if "text" in b] + [
        element["text"] for b in blocks for element in b.get("elements", ())
    ]


def test_a_webhook_gets_blocks_with_the_words_of_the_message(hook: Hook) -> None:
    payload = sent("slack", hook)
    check_slack(payload)
    assert "channel" not in payload
    said = texts(payload)
    assert said[0].endswith(": spam")
    assert said[1] == MESSAGE.body["headline"]
    assert said[2] == f"• {MESSAGE.body['alerts'][0]['text']}"
    assert "<https://x.example/|Overview>" in said[3]


def test_a_bot_posts_to_its_channel_with_its_token(hook: Hook) -> None:
    payload = sent("slack bot", hook)
    check_slack(payload)
    assert payload["channel"] == "#ops"
    assert hook.requests[0].path == "/api/chat.postMessage"
    assert hook.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in hook.requests[0].body.decode()


def test_a_message_that_ends_says_resolved(hook: Hook) -> None:
    payload = sent("slack", hook, status="resolved")
    assert texts(payload)[0] == "✅ Resolved: spam"
    assert payload["text"].startswith("[spam] Resolved: ")


def test_many_lines_share_sections_and_each_can_be_read() -> None:
    alerts = [{"text": f"alert {n} " + "<&>" * 40, "severity": "warning"} for n in range(50)]
    found = payload(summary_of({**MESSAGE.body, "alerts": alerts}))
    check_slack(found)
    said = "\n".join(texts(found))
    assert all(f"• alert {n} " in said for n in range(50))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!here>", "&lt;!here&gt;"),
        ("a & b", "a &amp; b"),
        ("&lt;", "&amp;lt;"),
        ("@channel @Here x@y.example", "@\u2060channel @\u2060Here x@y.example"),
    ],
)
def test_what_would_call_everybody_is_neutral(text: str, shown: str) -> None:
    assert neutral(text, 100) == shown


def of_api(hook: Hook, body: bytes, **headers: str) -> Outcome:
    hook.answer(200, body, **headers)
    return transport_to("slack bot", hook).deliver(MESSAGE.body, MESSAGE.dedup_key)


@pytest.mark.parametrize("code", ["invalid_auth", "channel_not_found", "not_in_channel"])
def test_an_error_in_a_200_is_refused(hook: Hook, code: str) -> None:
    outcome = of_api(hook, json.dumps({"ok": False, "error": code}).encode())
    assert isinstance(outcome, Refused)
    assert outcome.why.endswith(f"it responded {code}: check token and channel")


@pytest.mark.parametrize("code", ["ratelimited", "internal_error", "service_unavailable"])
def test_an_error_that_may_pass_is_tried_again(hook: Hook, code: str) -> None:
    body = json.dumps({"ok": False, "error": code}).encode()
    outcome = of_api(hook, body, Retry_After="30")
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 30


@pytest.mark.parametrize("error", ["evil words", "", 3, None, "x" * 99])
def test_other_words_are_not_repeated(hook: Hook, error: object) -> None:
    outcome = of_api(hook, json.dumps({"ok": False, "error": error}).encode())
    assert isinstance(outcome, Refused)
    assert "an unknown error" in outcome.why


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"<html>evil", b"[]", b"{}", b'{"ok":', b"[" * 60_000, b"x" * 100_000_000]
)
def test_an_answer_that_is_not_slacks_is_no_yes(hook: Hook, body: bytes) -> None:
    outcome = of_api(hook, body)
    assert isinstance(outcome, Retry)
    assert "its response is not one of Slack's" in outcome.why
