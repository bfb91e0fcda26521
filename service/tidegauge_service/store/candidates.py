"""Retraining candidates: proposed in the transaction of the alert, fetched by pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate, takewhile
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tidegauge_service.store import schema, upsert


@dataclass(frozen=True, slots=True)
class CandidateReason:
    """Why a record was chosen, by which alert, and how likely it was to be drawn for that."""

    reason: str
    alert_id: str
    inclusion_probability: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record suggested for labeling, with its lineage.

    The one list of its fields: columns of the database have their names, and what is exported is
    derived from them (``candidates.export``).
    """

    id: str
    stream: str
    window_start_ms: int
    partition: int
    offset: int
    record_id: str
    timestamp_ms: int
    payload: dict[str, Any]
    votes: dict[str, str]
    segments: tuple[str, ...]
    state: str
    """Of ``CandidateState``."""
    probe_set: str
    baseline: str
    reasons: tuple[CandidateReason, ...]


def propose(
    connection: sa.Connection, stream_id: int, candidates: Sequence[Candidate], now_ms: int
) -> None:
    """Write candidates; a record that was proposed before keeps its row and gains reasons."""
    whose = {"stream_id": stream_id, "created_ms": now_ms}
    upsert.keep(connection, schema.candidate, [{**whose, **_columns(c)} for c in candidates])
    reasons = [
        {"candidate_id": c.id, "rank": rank, **asdict(reason)}
        for c in candidates
        for rank, reason in enumerate(c.reasons)
    ]
    upsert.keep(connection, schema.candidate_reason, reasons)


@dataclass(frozen=True, slots=True)
class CandidateFilter:
    """Which candidates to fetch; ``None`` does not restrict. Times are [since, until)."""

    stream: str | None = None
    reason: str | None = None
    alert_id: str | None = None
    segment: str | None = None
    lf: str | None = None
    state: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


Place = tuple[int, str]
"""Where a page ended: the window start and candidate id that pages are sorted by."""


PAGE_BYTES: Final = 16 * 2**20
"""Maximum total size of the payloads on a page. The page ends with the candidate that reaches
it."""


def page(
    connection: sa.Connection, wanted: CandidateFilter, limit: int, after: Place | None = None
) -> list[Candidate]:
    """Return up to *limit* candidates after a place, by window and id; fewer of large ones.

    Only where none is left, none is returned.
    """
    c, s = schema.candidate, schema.stream
    query = sa.select(c, s.c.name.label("stream")).join(s, s.c.id == c.c.stream_id)
    query = query.order_by(c.c.window_start_ms, c.c.id).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(c.c.window_start_ms, c.c.id) > sa.tuple_(*after))
    query = query.where(*_conditions(connection, wanted))
    sizes = connection.execute(query.with_only_columns(sa.func.length(c.c.payload)))
    rows = list(connection.execute(query.limit(min(limit, _fitting(sizes.scalars())))))
    reasons = _reasons(connection, [row.id for row in rows])
    return [_candidate(row, reasons.get(row.id, ())) for row in rows]


def _fitting(sizes: Iterable[int]) -> int:
    """Return how many fit into a page: one at least."""
    reached = takewhile(lambda so_far: so_far < PAGE_BYTES, accumulate(sizes))
    return 1 + sum(1 for _ in reached)


def every(
    connection: sa.Connection, wanted: CandidateFilter, size: int = 1_000
) -> Iterator[Candidate]:
    """Yield all candidates, read *size* at a time: exports of any size in bounded memory."""
    after: Place | None = None
    while found := page(connection, wanted, size, after):
        yield from found
        after = (found[-1].window_start_ms, found[-1].id)


def count(connection: sa.Connection, wanted: CandidateFilter) -> int:
    """Return how many candidates there are."""
    c, s = schema.candidate, schema.stream
    query = sa.select(sa.func.count()).select_from(c.join(s, s.c.id == c.c.stream_id))
    return int(connection.execute(query.where(*_conditions(connection, wanted))).scalar_one())


def _conditions(connection: sa.Connection, wanted: CandidateFilter) -> list[sa.ColumnElement[bool]]:
    c, s = schema.candidate, schema.stream
    checks: list[tuple[Any, Any]] = [
        (wanted.stream, s.c.name == wanted.stream),
        (wanted.state, c.c.state == wanted.state),
        (wanted.since_ms, c.c.window_start_ms >= (wanted.since_ms or 0)),
        (wanted.until_ms, c.c.window_start_ms < (wanted.until_ms or 0)),
        (wanted.segment, _json_has(connection, c.c.segments, "value", wanted.segment)),
        (wanted.lf, _json_has(connection, c.c.votes, "key", wanted.lf)),
    ]
    found = [condition for given, condition in checks if given is not None]
    r = schema.candidate_reason
    for given, column in ((wanted.reason, r.c.reason), (wanted.alert_id, r.c.alert_id)):
        if given is not None:
            found.append(sa.exists().where(r.c.candidate_id == c.c.id, column == given))
    return found


def _json_has(
    connection: sa.Connection, column: sa.Column[str], part: str, name: str | None
) -> sa.ColumnElement[bool]:
    """Whether a JSON list holds a text (*part* "value") or an object has a key ("key").

    Not by LIKE: names may hold quotes and commas, and SQLite's LIKE knows no case.
    """
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(column).table_valued("key", "value")
        return sa.exists().select_from(each).where(each.c[part] == name)
    return sa.cast(column, JSONB).bool_op("?")(name)


def _reasons(
    connection: sa.Connection, ids: Sequence[str]
) -> dict[str, tuple[CandidateReason, ...]]:
    r = schema.candidate_reason
    query = sa.select(r).where(r.c.candidate_id.in_(ids)).order_by(r.c.candidate_id, r.c.rank)
    found: dict[str, tuple[CandidateReason, ...]] = {}
    for row in connection.execute(query):
        reason = CandidateReason(row.reason, row.alert_id, row.inclusion_probability)
        found[row.candidate_id] = (*found.get(row.candidate_id, ()), reason)
    return found


_COLUMNS: Final = [f.name for f in fields(Candidate) if f.name in schema.candidate.c]
"""Columns of the same name as the fields they hold."""

_JSON: Final[Mapping[str, Callable[[Any], Any]]] = {
    "payload": dict,
    "votes": dict,
    "segments": tuple,
}
"""JSON columns, and how each one is decoded."""


def _columns(candidate: Candidate) -> dict[str, Any]:
    found = {name: getattr(candidate, name) for name in _COLUMNS}
    return found | {name: json.dumps(found[name], ensure_ascii=False) for name in _JSON}


def _candidate(row: Any, reasons: tuple[CandidateReason, ...]) -> Candidate:
    found = {name: getattr(row, name) for name in _COLUMNS}
    found |= {name: made(json.loads(found[name])) for name, made in _JSON.items()}
    return Candidate(stream=row.stream, reasons=reasons, **found)
