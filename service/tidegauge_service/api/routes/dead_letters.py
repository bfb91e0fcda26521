"""Dead letters: what could not be a record, and why."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from tidegauge_service.api.context import Ctx, Cursor, Limit, Until, find_stream, moment
from tidegauge_service.api.paging import from_cursor, not_ours, to_cursor
from tidegauge_service.api.problems import Problem
from tidegauge_service.candidates.export import as_text
from tidegauge_service.clock import to_iso
from tidegauge_service.store.ingest import dead_letters
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter, KeptLetter, Place

router = APIRouter(prefix="/api/v1/streams", tags=["dead letters"])

_PLACE: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,19})")
"""Partition and offset in a cursor."""

SHOWN_BYTES = 4_096
"""Of each payload in a list; the letter's own address has all that was kept."""


class Payload(BaseModel):
    """What came. ``complete``: all of it is here."""

    encoding: Literal["utf-8", "base64"]
    data: str
    complete: bool


class DeadLetterDetail(BaseModel):
    """One dead letter."""

    partition: int
    offset: int
    reason: str
    detail: str
    size: int
    received: str
    payload: Payload


class DeadLetterTally(BaseModel):
    """How many of one reason. What is neither kept nor replayed was dropped or aged out."""

    received: int
    kept: int
    replayed: int


class DeadLetterPage(BaseModel):
    """A page of dead letters; `next` is the cursor of the following one."""

    counts: dict[str, DeadLetterTally]
    items: list[DeadLetterDetail]
    next: str | None


@router.get("/{name}/dead-letters")
def list_dead_letters(
    name: str,
    ctx: Ctx,
    reason: Annotated[str | None, Query(description="e.g. not_json")] = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DeadLetterPage:
    """List dead letters, newest first, with up to 4 KiB of each payload."""
    if reason is not None and ctx.reasons is not None and reason not in ctx.reasons:
        detail = f"reason '{reason}'; reasons: {', '.join(sorted(ctx.reasons))}"
        raise Problem(422, "invalid_parameter", detail)
    wanted = DeadLetterFilter(reason, moment(until, "until"))
    after = _place(cursor)
    with ctx.database.read() as connection:
        stream = find_stream(connection, name)
        found = dead_letters.page(
            connection, stream, wanted, limit=limit, after=after, most_bytes=SHOWN_BYTES
        )
        tallies = dead_letters.tallies(connection, stream)
    return DeadLetterPage(
        counts={
            t.reason: DeadLetterTally(received=t.received, kept=t.kept, replayed=t.replayed)
            for t in tallies
        },
        items=[_letter(kept) for kept in found],
        next=_cursor(found[-1].place) if len(found) == limit else None,
    )


@router.get("/{name}/dead-letters/{partition}/{offset}")
def show_dead_letter(
    name: str,
    partition: Annotated[int, Path(ge=0, lt=2**31)],
    offset: Annotated[int, Path(ge=0, lt=2**63)],
    ctx: Ctx,
) -> DeadLetterDetail:
    """Show one dead letter with all of its payload that was kept."""
    with ctx.database.read() as connection:
        found = dead_letters.find(connection, find_stream(connection, name), partition, offset)
    if found is None:
        detail = (
            f"partition {partition}, offset {offset}: it was replayed or dropped, or never existed"
        )
        raise Problem(404, "unknown_dead_letter", detail)
    return _letter(found)


def _letter(kept: KeptLetter) -> DeadLetterDetail:
    letter = kept.letter
    complete = len(letter.payload) == letter.size
    encoding, data = as_text(letter.payload, complete=complete)
    return DeadLetterDetail(
        partition=letter.partition,
        offset=letter.offset,
        reason=letter.reason,
        detail=letter.detail,
        size=letter.size,
        received=to_iso(kept.received_ms),
        payload=Payload(encoding=encoding, data=data, complete=complete),
    )


def _cursor(place: Place) -> str:
    received_ms, partition, offset = place
    return to_cursor((received_ms, f"{partition}:{offset}"))


def _place(cursor: str | None) -> Place | None:
    found = from_cursor(cursor)
    if found is None:
        return None
    match = _PLACE.fullmatch(found[1])
    if match is None or int(match[2]) >= 2**63:
        raise not_ours()
    return found[0], int(match[1]), int(match[2])
