"""What the database should hold, counted record by record without any of the code under test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tests.service.memory_source import Topic
from tests.service.streams_for_tests import HOUR, START
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts import text_sample
from tidegauge_probes.counts.panes import (
    BLIND,
    CONFLICTED,
    COVERED,
    OVERLAPPED,
    RECORDS,
    PaneCounts,
)
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow

PROBE_NAMES = ("mentions_free", "thanks", "short")

TEXTS: dict[str, tuple[str | None, str | None, str | None]] = {
    "what is this about": (None, None, None),
    "free things for everybody": ("SPAM", None, None),
    "thanks for all the fish": (None, "HAM", None),
    "hi": (None, None, "HAM"),
    "thanks": (None, "HAM", "HAM"),
    "free": ("SPAM", None, "HAM"),
    "thanks for the free fish": ("SPAM", "HAM", None),
}
"""What the LFs of ``streams_for_tests.PROBES`` vote, written down by hand."""

Tally = Counter[str]
Place = tuple[int, int]
"""(partition, window start)"""


def tally_records(records: Iterable[dict[str, Any]], names: Sequence[str] = PROBE_NAMES) -> Tally:
    """Count records one by one, in the words of Snorkel's LFAnalysis; *names*: of these LFs."""
    found: Tally = Counter()
    for record in records:
        of_all = dict(zip(PROBE_NAMES, TEXTS[record["text"]], strict=True))
        votes = [of_all[name] for name in names]
        given = [vote for vote in votes if vote]
        for name in ("_all", f"country={record['country']}"):
            found[f"{name} records"] += 1
            found[f"{name} covered"] += bool(given)
            found[f"{name} blind"] += not given
            found[f"{name} overlapped"] += len(given) > 1
            found[f"{name} conflicted"] += len(set(given)) > 1
            for probe, vote in zip(names, votes, strict=True):
                found[f"{name} {probe} {vote}"] += 1
    return +found


def tally_pane(pane: PaneCounts, names: Sequence[str] = PROBE_NAMES) -> Tally:
    """Bring stored counts into the same words."""
    found: Tally = Counter()
    for name, segment in pane.segments.items():
        totals = segment.totals
        found[f"{name} records"] += int(totals[RECORDS])
        found[f"{name} covered"] += int(totals[COVERED])
        found[f"{name} blind"] += int(totals[BLIND])
        found[f"{name} overlapped"] += int(totals[OVERLAPPED])
        found[f"{name} conflicted"] += int(totals[CONFLICTED])
        for probe, row in zip(names, segment.outcomes.tolist(), strict=True):
            for vote, n in zip(("HAM", "SPAM", None, "error"), row, strict=True):
                found[f"{name} {probe} {vote}"] += n
    return +found


def expected(topic: Topic) -> dict[Place, Tally]:
    """Count a whole topic; inputs that are no JSON are no records."""
    return {place: tally_records(found) for place, found in placed(topic).items()}


def placed(topic: Topic) -> dict[Place, list[dict[str, Any]]]:
    """Return the records of each partition and window, in the order of their offsets."""
    records: dict[Place, list[dict[str, Any]]] = {}
    for partition, inputs in enumerate(topic):
        for value in inputs:
            if value.startswith(b"{"):
                record = json.loads(value)
                seconds = datetime.fromisoformat(record["timestamp"]).timestamp()
                start = int(seconds) * 1000 // HOUR * HOUR
                records.setdefault((partition, start), []).append(record)
    return records


def expected_dead(topic: Topic) -> set[Place]:
    """Return (partition, offset) of what is no record."""
    return {
        (partition, offset)
        for partition, inputs in enumerate(topic)
        for offset, value in enumerate(inputs)
        if not value.startswith(b"{")
    }


def panes(database: Database, stream: StreamRow) -> dict[Place, PaneCounts]:
    """Return the stored panes; of one deployment per window."""
    t = schema.pane
    with database.read() as connection:
        rows = connection.execute(sa.select(t).where(t.c.stream_id == stream.id))
        found = {(row.partition, row.window_start_ms): row for row in rows}
    decoded = {place: counts.decode(row.counts) for place, row in found.items()}
    for place, row in found.items():
        assert row.records == decoded[place].records
        if row.texts is not None:  # dropped once the window is evaluated
            sample = text_sample.decode(row.texts)
            assert sample.copies.sum() == row.records
            assert len(sample.keys) <= len(TEXTS)
    return decoded


def tallies(database: Database, stream: StreamRow) -> dict[Place, Tally]:
    """Return what the database holds."""
    return {place: tally_pane(pane) for place, pane in panes(database, stream).items()}


def late(database: Database, stream: StreamRow) -> dict[Place, int]:
    """Return the late counts."""
    t = schema.late_count
    with database.read() as connection:
        rows = connection.execute(sa.select(t).where(t.c.stream_id == stream.id))
        return {(row.partition, row.window_start_ms): row.n for row in rows}


def dead(database: Database, stream: StreamRow) -> list[Place]:
    """Return (partition, offset) of the dead letters."""
    t = schema.dead_letter
    with database.read() as connection:
        rows = connection.execute(sa.select(t).where(t.c.stream_id == stream.id))
        return sorted((row.partition, row.offset) for row in rows)


def message(n: int, text: int, *, ms: int | None = None, country: str = "DE") -> bytes:
    """Return the bytes of a record; ten minutes from one to the next unless *ms* says."""
    at = datetime.fromtimestamp((START + n * 600_000 if ms is None else ms) // 1000, UTC)
    chosen = list(TEXTS)[text % len(TEXTS)]
    whole = {"id": f"r{n}", "timestamp": at.isoformat(), "text": chosen, "country": country}
    return json.dumps(whole).encode()


def topic(partitions: int, records: int, *, dead_every: int = 0) -> list[list[bytes]]:
    """Return a topic whose partitions differ; every *dead_every*-th input is no record."""
    found: list[list[bytes]] = []
    for p in range(partitions):
        inputs: list[bytes] = []
        for n in range(records):
            broken = dead_every and n % dead_every == dead_every - 1
            country = "DE" if (n + p) % 3 else "FR"
            inputs.append(b"broken" if broken else message(n, n * (p + 2) + p, country=country))
        found.append(inputs)
    return found
