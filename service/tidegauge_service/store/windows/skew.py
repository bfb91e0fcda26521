"""Training/serving skew that was found, once for each baseline of live windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tidegauge_probes.findings import Skew
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import in_use


@dataclass(frozen=True, slots=True)
class SkewRow:
    """The training data's baseline, that of the live windows, and the series that differ."""

    training: str
    baseline: str
    found: tuple[Skew, ...]
    """The most certain first; empty if nothing differs."""
    tested_ms: int


def save(
    connection: sa.Connection,
    stream: StreamRow,
    *,
    training: str,
    baseline: str,
    found: Sequence[Skew],
    now_ms: int,
) -> None:
    """Write what was found for a baseline; the first test of it stays."""
    row = {
        "stream_id": stream.id,
        "baseline": baseline,
        "training": training,
        "content": msgspec.json.encode(found).decode(),
        "tested_ms": now_ms,
    }
    upsert.keep(connection, schema.skew, [row])


def of_stream(connection: sa.Connection, stream: StreamRow) -> SkewRow | None:
    """Return what was found for the baseline in use; None if it was not tested."""
    row = in_use.row_of(connection, schema.skew, stream)
    if row is None:
        return None
    found = msgspec.json.decode(row.content, type=tuple[Skew, ...])
    return SkewRow(row.training, row.baseline, found, row.tested_ms)
