"""A message as Block Kit blocks.

Everything that comes from data is ``plain_text``, in which Slack formats nothing; only links, whose
addresses are ours, are ``mrkdwn``. Limits: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tidegauge_alerts.messages.summary import MessageSummary, SummaryLink, Urgency
from tidegauge_alerts.transports.size import SHORTENED, utf16_length

MAX_SECTION: Final = 3_000
MAX_HEADER: Final = 150
MAX_BLOCKS: Final = 50

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BROADCAST: Final = re.compile("@(?=channel|here|everyone|group)", re.IGNORECASE)
_ICONS: Final = {Urgency.CRITICAL: "🔴", Urgency.WARNING: "🟠", Urgency.INFO: "🔵"}

_FRAME: Final = 4
"""Blocks that are not lines: header, headline, facts, links."""


def payload(summary: MessageSummary) -> dict[str, Any]:
    """Return the arguments of ``chat.postMessage`` that an incoming webhook takes, too."""
    return {
        "text": neutral(summary.title, MAX_SECTION),
        "blocks": list(_blocks(summary)),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def neutral(text: str, limit: int) -> str:
    """Return a text in which Slack finds no mention and no markup, at most *limit* long.

    A word joiner, which cannot be seen, takes ``@channel`` its meaning.

    >>> neutral("<!here> & co", 100), neutral("<<<<", 9)
    ('&lt;!here&gt; &amp; co', '&lt;&lt;…')
    """
    shown: list[str] = []
    length = 0
    for character in _BROADCAST.sub("@\u2060", text):
        escaped = _ENTITIES.get(character, character)
        length += utf16_length(escaped)
        if length > limit - 1:
            return "".join(shown) + "…"
        shown.append(escaped)
    return "".join(shown)


def _blocks(summary: MessageSummary) -> Iterable[dict[str, Any]]:
    icon = "✅" if summary.over else _ICONS[summary.urgency]
    header = f"{icon} {summary.word}: {summary.stream}"
    yield {"type": "header", "text": _plain(header, MAX_HEADER)}
    yield {"type": "section", "text": _plain(summary.headline or summary.word, MAX_SECTION)}
    for text in _joined(summary.lines):
        yield {"type": "section", "text": _plain(text, MAX_SECTION)}
    facts = " · ".join(f"{name}: {value}" for name, value in summary.facts)
    if facts:
        yield {"type": "context", "elements": [_plain(facts, MAX_SECTION)]}
    links = _linked(summary.links)
    if links:
        yield {"type": "section", "text": {"type": "mrkdwn", "text": links}}


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": neutral(text, limit), "emoji": False}


def _joined(lines: Sequence[str]) -> list[str]:
    """Return as few texts as hold all lines, none longer than a section once it is escaped."""
    texts: list[str] = []
    for line in lines:
        longer = f"{texts[-1]}\n• {line}" if texts else ""
        if longer and utf16_length(neutral(longer, sys.maxsize)) <= MAX_SECTION:
            texts[-1] = longer
        else:
            texts.append(f"• {line}")
    most = MAX_BLOCKS - _FRAME
    return texts if len(texts) <= most else [*texts[: most - 1], SHORTENED]


def _linked(links: Sequence[SummaryLink]) -> str:
    text = ""
    for link in links:
        href = link.href.replace("&", "&amp;")
        more = f"<{href}|{neutral(link.text, 75).replace('|', '/')}>"
        longer = f"{text} · {more}" if text else more
        if len(longer) <= MAX_SECTION:
            text = longer
    return text
