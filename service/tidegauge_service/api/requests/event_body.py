"""From the body of a request to events. Pure.

What is no JSON object is refused at the door, with its place: whoever sent it is still there to
hear of it. What is one, but no record (no timestamp, say), becomes a dead letter like that of any
source, and can be replayed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tidegauge_probes.model import lookup
from tidegauge_service.api.problems import Problem
from tidegauge_service.config.sources import LogSource
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.store.ingest.events import Event

JSON: Final = "application/json"
NDJSON: Final = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")

MAX_EVENTS: Final = 10_000
"""Events a request may hold: they are appended in one transaction, for which others wait."""


def parse(body: bytes, content_type: str, config: StreamConfig) -> list[Event]:
    """Return the events of a body; Problem 415 or 422 says what is wrong, and where."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in NDJSON:
        values = [line for line in body.splitlines() if line.strip()]
    elif kind == JSON:
        values = _elements(body)
    else:
        detail = f"'{kind}' is not supported: send Content-Type {JSON} (an array) or {NDJSON[0]}"
        raise Problem(415, "unsupported_media_type", detail)
    if len(values) > MAX_EVENTS:
        detail = f"{len(values)} events: send at most {MAX_EVENTS} in one request"
        raise Problem(422, "invalid_events", detail)
    return [_event(i, value, config) for i, value in enumerate(values)]


def _elements(body: bytes) -> list[bytes]:
    """Return the elements of an array as they were written; one object is one element."""
    if body.lstrip().startswith(b"{"):
        _refuse_lines(body)
        return [body.strip()]
    try:
        return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        detail = f"the body is not a JSON array of objects: {error}"
        raise Problem(422, "invalid_events", detail) from error


def _refuse_lines(body: bytes) -> None:
    """Problem 422 for several lines of JSON, which are sent as another type."""
    first, _, rest = body.strip().partition(b"\n")
    if not rest:
        return
    try:
        msgspec.json.decode(first)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # one object over several lines, or nothing that can be read: said below
    detail = f"the body has one JSON object per line: send it with Content-Type {NDJSON[0]}"
    raise Problem(422, "invalid_events", detail)


def _event(i: int, value: bytes, config: StreamConfig) -> Event:
    limit = config.limits.max_record_bytes
    if len(value) > limit:
        detail = f"event {i} has {len(value)} bytes; limits.max_record_bytes is {limit}"
        raise Problem(422, "invalid_events", detail)
    try:
        fields = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        detail = f"event {i} is not JSON: {error}"
        raise Problem(422, "invalid_events", detail) from error
    if not isinstance(fields, dict):
        detail = f"event {i} is not a JSON object"
        raise Problem(422, "invalid_events", detail)
    return Event(value, _key(fields, config))


def _key(fields: dict[str, Any], config: StreamConfig) -> str | None:
    """Return the event's id, by which repeats are known, if it has one."""
    source, path = config.source, config.record.id
    if path is None or not (isinstance(source, LogSource) and source.deduplicate):
        return None
    value = lookup(fields, path)
    known = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return str(value) if known else None
