"""What a stream cannot see, as it was last found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegauge_probes.findings import Blindness
from tidegauge_service.store import schema

NOTED: Final = 0.01
"""Share of the records above which an LF's failures are shown."""

_FOUND: Final = msgspec.json.Decoder(tuple[Blindness, ...])


@dataclass(frozen=True, slots=True)
class Sight:
    """What was last found (None: too little was counted to say), and since when it was told."""

    found: tuple[Blindness, ...] | None
    told_ms: int | None


def load(connection: sa.Connection, stream_id: int) -> Sight:
    """Return what was last found."""
    t = schema.stream
    query = sa.select(t.c.blind, t.c.blind_ms).where(t.c.id == stream_id)
    text, told_ms = connection.execute(query).one()
    return Sight(None if text is None else _FOUND.decode(text), told_ms)


def blind_streams(connection: sa.Connection) -> dict[str, list[str]]:
    """Return each stream that cannot see something, with the causes."""
    t = schema.stream
    query = sa.select(t.c.name, t.c.blind).where(t.c.blind.is_not(None)).order_by(t.c.name)
    known = {name: _FOUND.decode(text) for name, text in connection.execute(query)}
    return {name: sorted({each.cause for each in found}) for name, found in known.items() if found}


def columns(found: Sequence[Blindness]) -> dict[str, str]:
    """Return the columns of a stream that hold what was found."""
    return {"blind": msgspec.json.encode(tuple(found)).decode()}
