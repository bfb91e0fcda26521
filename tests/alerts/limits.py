"""What each service publishes about the messages that it takes, as checks of a payload.

Slack: docs.slack.dev/reference/block-kit; PagerDuty: developer.pagerduty.com/docs/send-alert-event;
Teams: adaptivecards.io/explorer (1.4), learn.microsoft.com (28 KB); Alertmanager: its api/v2
openapi.yaml and label rules.
"""

import json
import re
from datetime import datetime
from typing import Any

HREF = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+")
"""No space, quote, ``<``, ``>``, ``|`` or anything that is not ASCII."""


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def check_slack(payload: Any) -> None:
    assert set(payload) <= {
        "text", "blocks", "mrkdwn", "link_names", "unfurl_links", "unfurl_media", "channel",
    }  # fmt: skip
    assert payload["mrkdwn"] is False
    assert payload["link_names"] is False
    _check_slack_text(payload["text"], 4_000)
    assert 1 <= len(payload["blocks"]) <= 50
    for block in payload["blocks"]:
        _check_block(block)


def _check_block(block: Any) -> None:
    if block["type"] == "context":
        assert 1 <= len(block["elements"]) <= 10
        for element in block["elements"]:
            _check_plain(element, 3_000)
    elif block["text"]["type"] == "mrkdwn":
        assert utf16(block["text"]["text"]) <= 3_000
        for link in block["text"]["text"].split(" · "):
            assert re.fullmatch(r"<https?://[^<>|\s]+\|[^<>|*_~`]+>", link), link
    else:
        assert block["type"] in {"header", "section"}
        _check_plain(block["text"], 150 if block["type"] == "header" else 3_000)


def _check_plain(text: Any, limit: int) -> None:
    assert text["type"] == "plain_text"
    assert text["emoji"] is False
    assert text["text"]
    _check_slack_text(text["text"], limit)


def _check_slack_text(text: str, limit: int) -> None:
    assert 1 <= utf16(text) <= limit
    assert not re.search("[<>]|&(?!(amp|lt|gt);)", text)
    assert not re.search("@(channel|here|everyone)", text, re.IGNORECASE)
    assert all(line.replace("\u2060", "").isprintable() for line in text.split("\n"))


def check_pagerduty(payload: Any) -> None:
    assert set(payload) <= {
        "routing_key", "event_action", "dedup_key", "client", "client_url", "links", "payload",
    }  # fmt: skip
    assert len(json.dumps(payload)) <= 512_000
    assert payload["event_action"] in {"trigger", "resolve"}
    assert 1 <= len(payload["dedup_key"]) <= 255
    assert payload["dedup_key"].isprintable()
    inner = payload["payload"]
    assert 1 <= len(inner["summary"]) <= 1_024
    assert inner["summary"].isprintable()
    assert inner["source"]
    assert inner["severity"] in {"critical", "error", "warning", "info"}
    for link in payload["links"]:
        assert HREF.fullmatch(link["href"])
        assert link["text"]


def check_teams(payload: Any) -> None:
    assert len(json.dumps(payload, separators=(",", ":")).encode()) <= 28_000
    assert payload["type"] == "message"
    (attachment,) = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"]
    for element in card["body"]:
        _check_rich_text(element)
    assert len(card["actions"]) <= 6
    for action in card["actions"]:
        assert set(action) == {"type", "title", "url"}
        assert action["type"] == "Action.OpenUrl"
        assert HREF.fullmatch(action["url"])


def _check_rich_text(element: Any) -> None:
    """Only text runs, which have no Markdown, and no macros as ``{{DATE(…)}}``."""
    assert set(element) == {"type", "inlines"}
    assert element["type"] == "RichTextBlock"
    for run in element["inlines"]:
        assert set(run) <= {"type", "text", "color", "weight", "size", "isSubtle"}
        assert run["type"] == "TextRun"
        assert run.get("color", "good") in {"good", "warning", "attention", "accent"}
        assert run.get("size", "small") in {"small", "medium"}
        assert run["text"].isprintable()


def check_alertmanager(payload: Any) -> None:
    names = [json.dumps(alert["labels"], sort_keys=True) for alert in payload]
    assert len(set(names)) == len(names) >= 1
    for alert in payload:
        for label, value in {**alert["labels"], **alert["annotations"]}.items():
            assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", label)
            assert value
            value.encode()  # UTF-8: no halves of characters
        assert alert["labels"]["alertname"].startswith("Tidegauge")
        assert datetime.fromisoformat(alert["startsAt"]) <= datetime.fromisoformat(alert["endsAt"])
        assert HREF.fullmatch(alert.get("generatorURL", "https://x.example/"))


CHECKS = {
    "slack": check_slack,
    "pagerduty": check_pagerduty,
    "teams": check_teams,
    "alertmanager": check_alertmanager,
}
