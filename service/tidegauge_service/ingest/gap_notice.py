"""The message that a source does not hold what came next, to the receivers of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge_alerts.messages import notices
from tidegauge_alerts.messages.model import Status
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.ingest.gap import Gap
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class GapNotice:
    """A gap of a stream in words, and who is told of it."""

    stream: StreamRow
    receivers: Sequence[str]
    gap: Gap
    text: str
    url: str
    """Address of the pages, for the link; empty if there is none."""

    def fire(self, connection: Connection, now_ms: int) -> None:
        """Tell receivers that there is a gap."""
        self._enqueue(connection, Status.FIRING, now_ms, 0)

    def resolve(self, connection: Connection, now_ms: int, *, after_ms: int = 0) -> None:
        """Tell receivers that the gap was passed, in *after_ms*."""
        self._enqueue(connection, Status.RESOLVED, now_ms, after_ms)

    def show(self, connection: Connection, now_ms: int) -> None:
        """Tell receivers of a gap that nobody has to decide on: it resolves by itself."""
        self.fire(connection, now_ms)
        self.resolve(connection, now_ms, after_ms=outbox.SHOWN_MS)

    def _enqueue(self, connection: Connection, status: Status, now_ms: int, after_ms: int) -> None:
        gap, stream = self.gap, self.stream
        topic = "" if gap.topic_id is None else f" {gap.topic_id}"
        key = f"{gap.partition} {gap.cause} {gap.from_offset}{topic}"
        message = notices.data_gap(
            status, stream.name, gap.partition, self.text, key=key, lost=gap.lost, url=self.url
        )
        outbox.enqueue(
            connection, stream.id, self.receivers, message, now_ms=now_ms, after_ms=after_ms
        )
