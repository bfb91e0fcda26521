"""Write what became of the alerts, and the messages that tell the receivers."""

from __future__ import annotations

from tidegauge_alerts.lifecycle.advance import Advance
from tidegauge_alerts.messages.message import messages_of
from tidegauge_alerts.model import Context, Rule
from tidegauge_service.store.alerting import alerts, outbox
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.scope import StreamScope


def notify(
    connection: Connection,
    scope: StreamScope,
    after: Advance,
    *,
    rule: Rule,
    context: Context,
    proposed: int = 0,
) -> None:
    """Save the alerts and enqueue their messages. *proposed*: candidates of this window."""
    stream, now = scope.stream, scope.clock()
    alerts.save(connection, stream.id, after.alerts, after.transitions)
    for message in messages_of(after, rule, context, proposed, scope.url):
        outbox.enqueue(connection, stream.id, rule.receivers, message, now_ms=now)
