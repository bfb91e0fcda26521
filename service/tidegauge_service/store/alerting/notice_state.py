"""Whether the receivers of a stream know of a trouble that it is in.

Any number of processes watch a stream. Whoever marks the trouble first writes the message, in the
same transaction, so that receivers hear of it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from tidegauge_alerts.messages.model import Message
from tidegauge_service.store import schema
from tidegauge_service.store.alerting import outbox

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Trouble(StrEnum):
    """A trouble of a whole stream. The value is the column that says since when it lasts."""

    STALE = "stale_ms"  # the watermark stands still
    LATE = "late_ms"  # most records come too late
    BLIND = "blind_ms"  # the LFs do not see the traffic


def since(connection: sa.Connection, stream_id: int, trouble: Trouble) -> int | None:
    """Return since when a trouble lasts of which receivers know; None if they know of none."""
    t = schema.stream
    query = sa.select(t.c[trouble]).where(t.c.id == stream_id)
    value = connection.execute(query).scalar_one()
    return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class NoticeState:
    """One problem of one stream, and the receivers to notify."""

    stream_id: int
    trouble: Trouble
    receivers: Sequence[str]

    def since(self, connection: sa.Connection) -> int | None:
        """Return since when it lasts, as far as receivers know."""
        return since(connection, self.stream_id, self.trouble)

    def change(
        self,
        connection: sa.Connection,
        before_ms: int | None,
        since_ms: int | None,
        message: Message | None,
        *,
        now_ms: int,
        values: Mapping[str, Any] = NOTHING,
    ) -> bool:
        """Write since when it lasts (None: it is over) with the message of it; whether it was us.

        By compare-and-set: if it is not *before_ms* any more, another process was quicker and
        nothing is written. *values*: other columns of the stream that change with it.
        """
        t = schema.stream
        column = t.c[self.trouble]
        same = (t.c.id == self.stream_id, column.is_not_distinct_from(before_ms))
        new = {**values, str(self.trouble): since_ms}
        if connection.execute(sa.update(t).where(*same).values(**new)).rowcount != 1:
            return False
        if message is not None:
            outbox.enqueue(connection, self.stream_id, self.receivers, message, now_ms=now_ms)
        return True
