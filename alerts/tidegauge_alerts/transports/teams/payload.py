"""A message as an Adaptive Card 1.4, for a workflow that posts it.

All texts are text runs: those have no Markdown, unlike a TextBlock, so a name with ``*`` or
``[x](…)`` shows as it is. https://adaptivecards.io/explorer/TextRun.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tidegauge_alerts.messages.phrases import clean
from tidegauge_alerts.messages.summary import MessageSummary, Urgency
from tidegauge_alerts.transports.size import fitted

MAX_MESSAGE: Final = 28 * 1_000
"""Bytes of a message; Teams takes 28 KB."""

MAX_HEADLINE: Final = 1_000
"""A headline must leave room even if each of its characters is an emoji: 12 bytes of JSON."""

MAX_ACTIONS: Final = 6
"""Buttons of a card; Teams shows no more."""

_COLORS: Final = {
    Urgency.CRITICAL: "attention",
    Urgency.WARNING: "warning",
    Urgency.INFO: "accent",
}


def payload(summary: MessageSummary) -> bytes:
    """Return a message with one card, as JSON."""

    def build(lines: Sequence[str]) -> dict[str, Any]:
        return {
            "type": "message",
            "attachments": [
                {
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": None,
                    "content": _card(summary, lines),
                }
            ],
        }

    return fitted(build, summary.lines, MAX_MESSAGE)


def _card(summary: MessageSummary, lines: Sequence[str]) -> dict[str, Any]:
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": summary.title,
        "msteams": {"width": "Full"},
        "body": list(_body(summary, lines)),
        "actions": [
            {"type": "Action.OpenUrl", "title": link.text, "url": link.href}
            for link in summary.links[:MAX_ACTIONS]
        ],
    }


def _body(summary: MessageSummary, lines: Sequence[str]) -> Iterable[dict[str, Any]]:
    color = "good" if summary.over else _COLORS[summary.urgency]
    heading = f"{summary.word}: {summary.stream}"
    yield _text(heading, color=color, weight="bolder", size="medium")
    yield _text(clean(summary.headline or summary.word, MAX_HEADLINE))
    for line in lines:
        yield _text(f"• {line}", size="small")
    for name, value in summary.facts:
        yield _text(f"{name}: {value}", size="small", isSubtle=True)


def _text(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}
