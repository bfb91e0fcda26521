"""No name gives an invalid payload, or one that says or does what we did not mean."""

import json
import re
from collections.abc import Callable
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.alerts.bodies import bodies
from tests.alerts.builders import NOON_MS
from tests.alerts.limits import CHECKS, utf16
from tidegauge_alerts.messages.summary import MessageSummary, summary_of
from tidegauge_alerts.receivers import EmailReceiver
from tidegauge_alerts.transports.alertmanager import payload as alertmanager
from tidegauge_alerts.transports.email.content import mail
from tidegauge_alerts.transports.pagerduty import payload as pagerduty
from tidegauge_alerts.transports.slack import payload as slack
from tidegauge_alerts.transports.teams import payload as teams
from tidegauge_probes.findings import SeriesKey, SeriesKind

PARTS = [
    "<!here>", "<!channel>", "@channel", "@HERE", "@everyone", "<@U123>",
    "<https://evil.example|x>", "*bold*", "_x_", "~x~", "`x`", "&amp;", "&", "<", ">", "|",
    "\r\n", "\n", "\t", "\u2028", "\x00", "\x1b[2J", "\u202e", "\u2066", "\u200b", "\ud800",
    "🔴", "[x](https://evil.example)", "{{DATE(x)}}", "Bcc: evil@x.example",
    "\r\nBcc: evil@x.example", "<script>alert(1)</script>", '"', "'", "\\",
    "=?utf-8?q?x?=", "_all", "日本", "z" * 300,
]  # fmt: skip

names = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PARTS), max_size=5).map("".join))
keys = st.builds(
    SeriesKey, st.sampled_from(SeriesKind), segment=names, probe=names, other=names, label=names
)
WORST = "".join(PARTS)

RECEIVER = EmailReceiver("mail", "h", "t@x.example", ("a@x.example",))

PAYLOADS: dict[str, Callable[[MessageSummary], Any]] = {
    "slack": slack.payload,
    "pagerduty": lambda summary: json.loads(pagerduty.payload(summary, "a1" * 16)),
    "teams": lambda summary: json.loads(teams.payload(summary)),
    "alertmanager": lambda summary: alertmanager.payload(summary, {"team": "x"}, NOON_MS, 3600.0),
}


def check_mail(summary: MessageSummary) -> None:
    raw = mail(summary, RECEIVER, "key-1", NOON_MS).as_bytes()
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    made = message_from_bytes(raw, policy=SMTP)
    assert set(made.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
        "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert str(made["To"]) == "a@x.example"
    assert str(made["Subject"]).isprintable()
    text, html = (part.get_content() for part in made.iter_parts())
    assert summary.headline.split(" ")[0] in text
    tags = set(re.findall("<(/?[a-z]+[0-9]?)", html))
    ours = {"html", "head", "meta", "body", "p", "strong", "h1", "ul", "li", "a"}
    assert {tag.strip("/") for tag in tags} <= ours
    assert re.findall('href="(?!https://x.example/)', html) == []


@settings(max_examples=25, deadline=None)
@example(WORST, SeriesKey(SeriesKind.POLARITY, WORST, WORST, WORST, WORST))
@example("\r\nBcc: evil@x.example", SeriesKey(SeriesKind.COVERAGE, "a=\n<!here>", "@channel"))
@given(names, keys)
def test_any_name_gives_a_payload_that_the_service_takes(stream: str, key: SeriesKey) -> None:
    for body in bodies(stream, key):
        summary = summary_of(body)
        for kind, check in CHECKS.items():
            check(json.loads(json.dumps(PAYLOADS[kind](summary))))
        check_mail(summary)


def big(lines: int, text: str) -> MessageSummary:
    alerts: list[dict[str, Any]] = [{"severity": "critical", "text": text}] * lines
    body = {"stream": text, "incident": text, "headline": text, "alerts": alerts, "truncated": 7}
    return summary_of({**body, "links": {"page": "https://x.example/" + "a" * 900}})


@pytest.mark.parametrize("text", ["&" * 9_000, "🔴" * 9_000, "→" * 9_000, "x", '"' * 9_000])
@pytest.mark.parametrize("kind", CHECKS)
def test_the_largest_message_fits(kind: str, text: str) -> None:
    payload = PAYLOADS[kind](big(60, text))
    CHECKS[kind](json.loads(json.dumps(payload)))


def test_what_is_left_out_is_said() -> None:
    long = big(60, "→" * 1_990)
    for kind in ("slack", "teams"):
        said = json.dumps(PAYLOADS[kind](long), ensure_ascii=False)
        assert "the message was shortened" in said
    assert "and 17 more" in json.dumps(PAYLOADS["alertmanager"](big(60, "x")))


def test_short_messages_are_not_shortened() -> None:
    for kind in CHECKS:
        assert "shortened" not in json.dumps(PAYLOADS[kind](big(3, "x")))


@given(st.text(), st.integers(2, 40))
def test_a_neutral_text_is_never_too_long(text: str, limit: int) -> None:
    assert utf16(slack.neutral(text.encode(errors="replace").decode(), limit)) <= limit
