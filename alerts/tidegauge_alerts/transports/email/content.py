"""A message as mail: text and HTML, and headers by which mail of one incident threads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Final

from tidegauge_alerts.messages.summary import MessageSummary, Urgency
from tidegauge_alerts.receivers.email import EmailReceiver, split_address

_POLICY: Final = SMTP.clone(cte_type="7bit")
"""Seven-bit throughout: any server takes it, and no line is too long."""

_COLORS: Final = {
    Urgency.CRITICAL: "#b3261e",
    Urgency.WARNING: "#b26a00",
    Urgency.INFO: "#1a5fb4",
}
_OVER: Final = "#1b7f3b"


def mail(
    summary: MessageSummary, receiver: EmailReceiver, dedup_key: str, now_ms: int
) -> EmailMessage:
    """Return the mail; the same *dedup_key* gives the same Message-ID in every attempt."""
    sender = _address(receiver.sender)
    thread = _id("incident", summary.key, sender.domain)
    made = EmailMessage(policy=_POLICY)
    made["From"] = sender
    made["To"] = [_address(one) for one in receiver.to]
    if receiver.cc:
        made["Cc"] = [_address(one) for one in receiver.cc]
    made["Subject"] = summary.title
    made["Date"] = datetime.fromtimestamp(now_ms / 1000, UTC)
    made["Message-ID"] = _id("message", dedup_key, sender.domain)
    # The head of the thread is a mail that was never sent: no order of delivery breaks it.
    made["In-Reply-To"] = thread
    made["References"] = thread
    # Nobody's out-of-office note should answer (RFC 3834).
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(_text(summary))
    made.add_alternative("".join(_html(summary)), subtype="html")
    return made


def _address(given: str) -> Address:
    name, spec = split_address(given)
    return Address(display_name=name, addr_spec=spec)


def _id(what: str, key: str, domain: str) -> str:
    """Return a message id; hashed, so that no key can break out of it."""
    return f"<{hashlib.sha256(f'{what}:{key}'.encode()).hexdigest()[:40]}@{domain}>"


def _text(summary: MessageSummary) -> str:
    links = "\n".join(f"{link.text}: {link.href}" for link in summary.links)
    return f"{summary.text}\n\n{links}\n" if links else f"{summary.text}\n"


def _html(summary: MessageSummary) -> Iterable[str]:
    """Yield a page that needs nothing from elsewhere, and reads in light and dark."""
    color = _OVER if summary.over else _COLORS[summary.urgency]
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"></head>'
        '<body style="font:16px/1.5 sans-serif;max-width:40em;margin:0 auto;padding:1em;'
        'overflow-wrap:anywhere">'
    )
    yield (
        f'<p style="margin:0"><strong style="background:{color};color:#fff;padding:.2em .6em;'
        f'border-radius:.3em">{escape(summary.word)}</strong> {escape(summary.stream)}</p>'
        f'<h1 style="font-size:1.2em">{escape(summary.headline)}</h1>'
    )
    if summary.lines:
        yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in summary.lines)}</ul>"
    for name, value in summary.facts:
        yield f'<p style="margin:0">{escape(name)}: {escape(value)}</p>'
    if summary.links:
        anchors = (f'<a href="{escape(ln.href)}">{escape(ln.text)}</a>' for ln in summary.links)
        yield f"<p>{' · '.join(anchors)}</p>"
    yield "</body></html>\n"
