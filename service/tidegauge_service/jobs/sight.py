"""Look whether a stream sees its traffic, and tell receivers when it does not."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from tidegauge_alerts.messages import notices, phrases
from tidegauge_alerts.messages.model import Message
from tidegauge_probes.counts.blindness import blindness, uncounted
from tidegauge_probes.engine import QUARANTINED
from tidegauge_probes.findings import Blindness
from tidegauge_service.store import layouts, streams
from tidegauge_service.store.alerting.notice_state import NoticeState, Trouble
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import newest, queries, sight
from tidegauge_service.store.windows.sight import Sight

log = structlog.get_logger()


class SightCheck:
    """Looks at one stream. Any number of processes may; one of them tells."""

    def __init__(self, scope: StreamScope) -> None:
        self._name = scope.stream.name
        self._database = scope.database
        self._clock = scope.clock
        self._url = scope.url
        self._receivers = scope.receivers
        self._text = scope.config.record.text
        self._segment_by = scope.config.segment_by
        self._logged: list[str] = []
        self.logs = True
        """Whether changes are logged; a command that prints them itself turns this off."""

    def tick(self) -> None:
        """Write what the stream cannot see; tell when it goes blind, and when it sees again."""
        with self._database.read() as connection:
            stream = streams.find(connection, self._name)
            if stream is None:
                return
            before = sight.load(connection, stream.id)
            found = self._found(connection, stream, before)
        if found is None:
            return
        told = any(map(_is_told, found))
        since = (before.told_ms or self._clock()) if told else None
        if found != before.found or since != before.told_ms:
            self._write(stream, found, before, since)
        self._log(found)

    def _found(
        self, connection: Connection, stream: StreamRow, before: Sight
    ) -> tuple[Blindness, ...] | None:
        records, late, dead = queries.inputs(connection, stream)
        nothing = uncounted(records, late, dead)
        if nothing:
            return nothing
        counts = newest.newest_counts(connection, stream)
        if counts is None:
            return None
        layout = layouts.layout_of(connection, stream.probe_set)
        return blindness(
            counts, layout, before.found or (), text=self._text, segment_by=self._segment_by
        )

    def _write(
        self, stream: StreamRow, found: Sequence[Blindness], before: Sight, since: int | None
    ) -> None:
        state = NoticeState(stream.id, Trouble.BLIND, self._receivers)
        message, new = self._message(found, before.told_ms, since), sight.columns(found)
        now = self._clock()
        with self._database.write() as connection:
            state.change(connection, before.told_ms, since, message, now_ms=now, values=new)

    def _message(
        self, found: Sequence[Blindness], told: int | None, since: int | None
    ) -> Message | None:
        """Return what receivers are told; None while they know already, or need not know."""
        if since is not None and told is None:
            serious = [one for one in found if _is_told(one)]
            return notices.blind(self._name, serious, since_ms=since, url=self._url)
        if since is None and told is not None:
            return notices.sees_again(self._name, since_ms=told, url=self._url)
        return None

    def _log(self, found: Sequence[Blindness]) -> None:
        """Log each change of what is not seen, not each change of a share."""
        now = [" ".join(one.key).strip() for one in found]
        if self.logs and now and now != self._logged:
            log.error("stream_blind", stream=self._name, why=phrases.blind(found))
        elif self.logs and self._logged and not now:
            log.info("stream_sees_again", stream=self._name)
        self._logged = now


def _is_told(found: Blindness) -> bool:
    """Whether receivers are told; of an LF in quarantine they know already."""
    return found.serious and found.fault != QUARANTINED
