"""Compare the database, when all is quiet, with what the oracle says and with a clean run."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tests.crash.oracle import (
    LF_NAMES,
    STRAGGLER_CELLS,
    Expected,
    Letter,
    Place,
    Tally,
    times,
)
from tests.crash.traffic import CLASSES, WINDOW_MS
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import (
    BLIND,
    CONFLICTED,
    COVERED,
    OVERLAPPED,
    RECORDS,
    PaneCounts,
)
from tidegauge_probes.findings import SeriesKind
from tidegauge_service.store import schema, streams
from tidegauge_service.store.engine import Database

ALERT_KINDS = ("transition", "message", "notification_lost")
"""Kinds of differences between the alerts of a run and those of a clean one."""

WAITING = "waiting"
"""Messages that nobody has sent yet, among the positions."""


@dataclass
class Differences:
    """What disagrees: each a line, by kind."""

    lines: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, line: str) -> None:
        """Note one."""
        self.kinds[kind] += 1
        self.lines.append(f"{kind}: {line}")

    def same(self, kind: str, found: Any, expected: Any, where: object = "") -> None:
        """Note it if two values differ."""
        if found != expected:
            self.add(kind, f"{where} is {found!r:.300}, not {expected!r:.300}")

    def mapping(self, kind: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
        """Note each key whose values differ."""
        for key in sorted(found.keys() | expected.keys(), key=str):
            self.same(kind, found.get(key), expected.get(key), key)

    def __len__(self) -> int:
        """How many records, cells or rows disagree."""
        return len(self.lines)


@dataclass
class Held:
    """What the database holds of the stream."""

    partitions: dict[int, Any]
    cursors: dict[str, int | None]
    panes: dict[Place, Tally]
    pane_records: dict[Place, int]
    late: Counter[Place]
    letters: list[Letter]
    letter_counts: dict[tuple[int, str], int]
    windows: dict[int, Any]
    texts: dict[int, tuple[Any, ...]]
    """Window → what came of its distinct texts."""
    figures: dict[tuple[Any, ...], tuple[Any, ...]]
    transitions: Counter[tuple[str, int, str]]
    messages: dict[str, str]
    """Dedup key → state."""


def read(url: str) -> Held:
    """Read everything."""
    database = Database(url)
    try:
        with database.read() as connection:
            return _read(connection)
    finally:
        database.close()


def _read(connection: sa.Connection) -> Held:
    def rows(table: sa.Table) -> list[Any]:
        return list(connection.execute(sa.select(table)))

    panes = {(r.partition, r.window_start_ms): r for r in rows(schema.pane)}
    late: Counter[Place] = Counter()
    for r in rows(schema.late_count):
        late[r.partition, r.window_start_ms] = r.n
    letters = [
        Letter(r.partition, r.offset, r.reason, bytes(r.payload)) for r in rows(schema.dead_letter)
    ]
    return Held(
        partitions={r.partition: r for r in rows(schema.stream_partition)},
        cursors={r.kind: r.through_ms for r in rows(schema.cursor)},
        panes={place: _tally(counts.decode(r.counts)) for place, r in panes.items()},
        pane_records={place: r.records for place, r in panes.items()},
        late=late,
        letters=sorted(letters, key=lambda letter: (letter.partition, letter.offset)),
        letter_counts={(r.partition, r.reason): r.received for r in rows(schema.dead_letter_count)},
        windows={r.window_start_ms: (r.state, r.records) for r in rows(schema.window)},
        texts={
            r.window_start_ms: (r.records, r.texts, r.level, r.frequent, counts.decode(r.counts))
            for r in rows(schema.distinct_texts)
        },
        figures=_figures(connection),
        transitions=Counter(
            (r.alert_id, r.window_start_ms, r.content) for r in rows(schema.alert_transition)
        ),
        messages={r.dedup_key: r.state for r in rows(schema.notification)},
    )


def _figures(connection: sa.Connection) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return (window, series) → the row of window_stat."""
    s, t = schema.series, schema.window_stat
    names = (s.c.series, s.c.segment, s.c.probe, s.c.other, s.c.label)
    numbers = [c for c in t.c if c.name not in {"stream_id", "window_start_ms", "series_id"}]
    query = sa.select(t.c.window_start_ms, *names, *numbers).join(s, s.c.id == t.c.series_id)
    n = 1 + len(names)
    return {tuple(row[:n]): tuple(row[n:]) for row in connection.execute(query)}


def _tally(pane: PaneCounts) -> Tally:
    """Bring stored counts into the oracle's words."""
    found: Tally = Counter()
    totals = {
        "records": RECORDS,
        "covered": COVERED,
        "blind": BLIND,
        "overlapped": OVERLAPPED,
        "conflicted": CONFLICTED,
    }
    for name, segment in pane.segments.items():
        for word, at in totals.items():
            found[f"{name} {word}"] += int(segment.totals[at])
        for probe, row in zip(LF_NAMES, segment.outcomes.tolist(), strict=True):
            for vote, n in zip((*CLASSES, "abstain", "error"), row, strict=True):
                found[f"{name} {probe} {vote}"] += n
    return +found


def compare(held: Held, expected: Expected, closed_ms: int) -> Differences:
    """Compare with the oracle, record by record where rows are kept, cell by cell where counts."""
    found = Differences()
    _compare_panes(found, held, expected)
    found.mapping(
        "dead_letter",
        {(letter.partition, letter.offset): letter for letter in held.letters},
        {(letter.partition, letter.offset): letter for letter in expected.letters},
    )
    reasons = Counter((letter.partition, letter.reason) for letter in expected.letters)
    found.mapping("dead_letter_count", held.letter_counts, reasons)
    _compare_positions(found, held, expected)
    _compare_windows(found, held, expected, closed_ms)
    return found


def _compare_panes(found: Differences, held: Held, expected: Expected) -> None:
    """Each place: panes + late = all records; late ones are stragglers; all cells follow."""
    places = held.panes.keys() | held.late.keys() | expected.on_time.keys()
    places |= expected.stragglers.keys()
    for place in sorted(places):
        stragglers, late = expected.stragglers[place], held.late[place]
        if late > stragglers:
            found.add("late", f"{place}: {late} late, only {stragglers} could be")
        tally = held.panes.get(place, Counter())
        should = expected.on_time[place] + times(stragglers - late, STRAGGLER_CELLS)
        if tally != should:
            cells = {c: (tally[c], should[c]) for c in tally | should if tally[c] != should[c]}
            for cell, (is_, be) in sorted(cells.items()):
                found.add("cell", f"{place} {cell} is {is_}, not {be}")
        found.same("pane", held.pane_records.get(place, 0), tally["_all records"], place)


def _compare_positions(found: Differences, held: Held, expected: Expected) -> None:
    found.same("partitions", sorted(held.partitions), sorted(expected.ends))
    for partition, end in expected.ends.items():
        row = held.partitions.get(partition)
        if row is None:
            continue
        places = expected.by_place.keys() | expected.stragglers.keys()
        mine = [place for place in places if place[0] == partition]
        n = sum(len(expected.by_place[p]) + expected.stragglers[p] for p in mine)
        late = sum(held.late[p] for p in held.late if p[0] == partition)
        found.same("position", row.next_offset, end, partition)
        found.same("partition_records", row.records, n, partition)
        found.same("partition_late", row.late, late, partition)


def _compare_windows(found: Differences, held: Held, expected: Expected, closed_ms: int) -> None:
    """Every window up to the last was evaluated, once, with all that its panes hold."""
    found.same("closed", held.cursors.get("closed"), closed_ms)
    found.same("evaluated", held.cursors.get("evaluated"), closed_ms)
    starts = [start for _, start in held.panes]
    if not starts:
        found.add("window", "no pane was written")
        return
    summed: Counter[int] = Counter()
    for (_, start), tally in held.panes.items():
        summed[start] += tally["_all records"]
    for start in range(min(starts), closed_ms, WINDOW_MS):
        _, records = held.windows.get(start, ("never evaluated", None))
        found.same("window", records, summed[start], start)
    for start in held.windows.keys() - set(range(min(starts), closed_ms, WINDOW_MS)):
        found.add("window", f"{start} was evaluated, and should not have been")


def _one_volume(held: Held, clean: Held) -> list[int]:
    """Return the windows whose volume one run tells and the other does not.

    None is told where the source had ended, or was idle, when the window was closed. Whether it
    had depends on when it was looked; which records came does not.
    """
    one = held.figures.keys() ^ clean.figures
    return sorted(window for window, kind, *_ in one if kind == SeriesKind.VOLUME)


def compare_runs(found: Differences, held: Held, clean: Held, delivered: Mapping[str, int]) -> None:
    """Figures, transitions and messages equal those of a clean run over the same records."""
    found.mapping("window_of_clean_run", held.windows, clean.windows)
    found.mapping("texts", held.texts, clean.texts)
    one = _one_volume(held, clean)
    if len(one) > max(2, len(clean.windows) // 10):
        found.add("figure", f"{len(one)} volumes are told in one run only")
    # Later volumes are compared over sums that this one is in, or is not.
    until = one[0] if one else math.inf
    figures = (
        {k: v for k, v in h.figures.items() if k[1] != SeriesKind.VOLUME or k[0] < until}
        for h in (held, clean)
    )
    found.mapping("figure", *figures)
    found.mapping("transition", held.transitions, clean.transitions)
    for key in sorted(clean.messages.keys() | held.messages.keys()):
        if key not in clean.messages:
            found.add("message", f"{key} is not one of the clean run")
        elif not delivered.get(key):
            state = held.messages.get(key, "never written")
            found.add("notification_lost", f"{key}: {state}, and nobody got it")
        else:
            found.same("message", held.messages.get(key), "sent", key)
    for key in delivered.keys() - held.messages.keys():
        found.add("message", f"{key} was delivered and is not in the outbox")


def dump(held: Held) -> str:
    """Return what the database holds as text, to keep as evidence."""
    plain = {
        name: {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else value
        for name, value in vars(held).items()
    }
    return json.dumps(plain, default=str, indent=1)


def positions(url: str) -> dict[Any, int]:
    """Return positions by partition, cursors by name, and how many messages wait."""
    database = Database(url)
    try:
        with database.read() as connection:
            p, c, n = schema.stream_partition, schema.cursor, schema.notification
            found: dict[Any, int] = {
                row.partition: row.next_offset
                for row in connection.execute(sa.select(p.c.partition, p.c.next_offset))
            }
            # Not "or 0": they are below it where an idle partition has a long grace.
            # Nor where a source ended: which windows that cuts depends on when it was looked.
            kinds = c.c.kind.in_((streams.CLOSED, streams.EVALUATED))
            moved = sa.select(c.c.kind, c.c.through_ms).where(kinds, c.c.through_ms.is_not(None))
            found |= {row.kind: row.through_ms for row in connection.execute(moved)}
            waiting = sa.select(sa.func.count()).where(n.c.state == "waiting")
            found[WAITING] = connection.execute(waiting).scalar_one()
            return found
    finally:
        database.close()
