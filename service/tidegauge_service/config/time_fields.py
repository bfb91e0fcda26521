"""Durations and moments in files and variables: text with a unit, integers in the program.

People write ``1h``; the program holds milliseconds; JSON (the configuration that the database
keeps) holds text again. So no number is ever read as a duration: 3600 could be anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from tidegauge_service.clock import from_iso, parse_duration, to_duration, to_iso


def _duration(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_duration(str(value))  # zero, or the error that asks for a unit
    msg = "not a duration: write a whole number with a unit (ms, s, m, h, d, w), e.g. 6h"
    raise ValueError(msg)


def _positive(value: int) -> int:
    if value <= 0:
        msg = "must be longer than zero"
        raise ValueError(msg)
    return value


def _moment(value: Any) -> int:
    shown = "2020-02-12 or 2020-02-12T06:00Z"
    if isinstance(value, int) and value >= _SURELY_MS:
        return value
    if not isinstance(value, str):
        msg = f"not a date: write it like {shown}"
        raise ValueError(msg)  # noqa: TRY004  (pydantic collects ValueErrors only)
    try:
        return from_iso(value)
    except ValueError as error:
        msg = f"'{value}' is not an ISO 8601 date or time, e.g. {shown}"
        raise ValueError(msg) from error


_SURELY_MS: Final = 100_000_000_000
"""In 1973. Smaller numbers are seconds, or dates without dashes such as 20260101."""

_PATTERN: Final = r"^\s*([0-9]+(ms|s|m|h|d|w)|0)\s*$"
_WRITTEN = Annotated[str, Field(pattern=_PATTERN)]
_AS_TEXT = PlainSerializer(to_duration, return_type=str, when_used="json")

Duration = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=_WRITTEN),
    AfterValidator(_positive),
    _AS_TEXT,
]
"""Milliseconds above zero, written like ``90s``."""

Delay = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=_WRITTEN | Literal[0]),
    _AS_TEXT,
]
"""Milliseconds, written like ``90s``; zero needs no unit."""

Moment = Annotated[
    int,
    BeforeValidator(_moment, json_schema_input_type=str | Annotated[int, Field(ge=_SURELY_MS)]),
    PlainSerializer(to_iso, return_type=str, when_used="json"),
]
"""Epoch milliseconds, written as an ISO-8601 date or time (UTC where no offset is given), or so."""


def with_written_defaults(schema: Any) -> Any:
    """Return a JSON Schema whose defaults of durations are texts, as its types say."""
    if isinstance(schema, list):
        return [with_written_defaults(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: with_written_defaults(part) for key, part in schema.items()}
    options = (found, *(found.get("anyOf") or ()))
    if isinstance(found.get("default"), int) and any(o.get("pattern") == _PATTERN for o in options):
        found["default"] = to_duration(found["default"])
    return found
