"""What a message says, in the same words for every receiver. Pure.

A body (``messages.message``, ``messages.notices``) is for programs; a summary of it is for people.
Transports only lay it out, so the mail, the chat and the pager agree. All texts are on one line and
free of control characters; what else their receiver gives a meaning (``<``, ``*``, ``@``) is for
the transport to neutralise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote, urlsplit

from tidegauge_alerts.messages.model import NoticeEvent, Status
from tidegauge_alerts.messages.phrases import clean

MAX_TITLE: Final = 200
MAX_TEXT: Final = 2_000
"""Maximum characters of the headline and of each line."""

MAX_LINES: Final = 50
MAX_LINK: Final = 1_000


class Urgency(StrEnum):
    """How urgent a message is: the severity of its gravest alert, or that of the notice."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


_NOTICES: Final[Mapping[str, Urgency]] = {
    # Drift goes undetected until somebody acts.
    NoticeEvent.PROBE_BROKEN: Urgency.CRITICAL,
    NoticeEvent.DATA_GAP: Urgency.CRITICAL,
    NoticeEvent.WATERMARK_STALE: Urgency.CRITICAL,
    NoticeEvent.LATE_RECORDS: Urgency.CRITICAL,
    NoticeEvent.STREAM_BLIND: Urgency.CRITICAL,
    # There is nothing to wait for: they resolve by themselves.
    NoticeEvent.ASSUMED_NORMAL: Urgency.INFO,
    NoticeEvent.TRAINING_SKEW: Urgency.INFO,
}

_LINKS: Final[Mapping[str, str]] = {
    "incident": "Incident",
    "page": "Overview",
    "alerts": "Alerts",
    "candidates": "Candidates",
}


@dataclass(frozen=True, slots=True)
class SummaryLink:
    """A link: its name, and an http(s) address in ASCII without spaces, quotes and ``<>|``."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message for people."""

    stream: str
    word: str
    """``Critical``, ``Warning``, ``Info``, ``Settled`` or ``Resolved``."""
    headline: str
    lines: tuple[str, ...]
    """What else there is to say, one alert each; empty if the headline says it all."""
    facts: tuple[tuple[str, str], ...]
    """Name and value: the stream, the window, how many candidates wait."""
    urgency: Urgency
    over: bool
    """Whether the incident has ended."""
    event: str
    key: str
    """The same for all messages of an incident; at most 200 printable characters."""
    links: tuple[SummaryLink, ...]

    @property
    def title(self) -> str:
        """Return one line for a subject or heading, at most 200 characters."""
        return clean(f"[{self.stream}] {self.word}: {self.headline}", MAX_TITLE)

    @property
    def text(self) -> str:
        """Return everything but the links as plain text of several lines."""
        facts = [f"{name}: {value}" for name, value in self.facts]
        parts = ([f"{self.word}: {self.headline}"], [f"- {line}" for line in self.lines], facts)
        return "\n\n".join("\n".join(part) for part in parts if part)


def summary_of(body: Mapping[str, Any]) -> MessageSummary:
    """Return the summary of a version-1 body; keys that it lacks are left out.

    >>> summary = summary_of({"stream": "spam", "status": "firing", "headline": "Blind spot 8 %",
    ...     "alerts": [{"severity": "critical", "text": "spike: Blind spot 8 %"}]})
    >>> summary.title, summary.urgency.value
    ('[spam] Critical: Blind spot 8 %', 'critical')
    """
    over, event = body.get("status") == Status.RESOLVED, str(body.get("event", "alert"))
    urgency = _urgency(body, event)
    stream = clean(str(body.get("stream", "")))
    incident = clean(str(body.get("incident", "")))
    return MessageSummary(
        stream=stream,
        word=_word(urgency, event, over=over),
        headline=clean(str(body.get("headline", "")), MAX_TEXT),
        lines=tuple(_lines(body)),
        facts=tuple(_facts(body, stream)),
        urgency=urgency,
        over=over,
        event=clean(event),
        key=clean(str(body.get("group_key") or f"{stream}:{incident}"), 200),
        links=tuple(_links(body.get("links") or {})),
    )


def _urgency(body: Mapping[str, Any], event: str) -> Urgency:
    told = {str(part.get("severity")) for part in (body, *(body.get("alerts") or ()))}
    for urgency in (Urgency.CRITICAL, Urgency.WARNING):
        if urgency in told:
            return urgency
    return _NOTICES.get(event, Urgency.INFO)


def _word(urgency: Urgency, event: str, *, over: bool) -> str:
    if over:
        return "Resolved"
    return "Settled" if event == "settled" else str(urgency).capitalize()


def _lines(body: Mapping[str, Any]) -> Iterable[str]:
    """Yield a line for each alert or series, and how many more there are."""
    entries = [*(body.get("alerts") or ()), *(body.get("skew") or ())]
    texts = [clean(str(entry.get("text", "")), MAX_TEXT) for entry in entries]
    shown = [text for text in texts if text][:MAX_LINES]
    yield from shown
    more = len(entries) - len(shown) + int(body.get("truncated") or 0)
    if shown and more:
        yield f"and {more} more"


def _facts(body: Mapping[str, Any], stream: str) -> Iterable[tuple[str, str]]:
    if stream:
        yield "Stream", stream
    window = body.get("window")
    if window:
        yield "Window", clean(f"{window.get('start')} to {window.get('end')}")
    candidates = int(body.get("candidates") or 0)
    if candidates:
        records = "record is" if candidates == 1 else "records are"
        yield "Candidates", f"{candidates:,} {records} waiting to be labeled"


def _links(links: Mapping[str, Any]) -> Iterable[SummaryLink]:
    for name, href in links.items():
        address = quote(str(href), safe="!#$%&()*+,-./:;=?@[]_~", errors="replace")
        if _is_web(address):
            yield SummaryLink(_LINKS.get(name, clean(name.replace("_", " ").capitalize())), address)


def _is_web(address: str) -> bool:
    """Tell whether an address is http(s), with a host, and no longer than any receiver takes."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and len(address) <= MAX_LINK
