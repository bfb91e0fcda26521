"""Cursors of pages: opaque to callers, a place in a stable order to us."""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from tidegauge_service.api.problems import Problem

Place = tuple[int, str]

_FARTHEST: Final = 2**62
"""Farther from 0 is no time in ms: the databases' integers have 64 bits."""


def to_cursor(place: Place) -> str:
    """Return the text that stands for a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def from_cursor(cursor: str | None) -> Place | None:
    """Return the place that a cursor stands for; Problem 422 for anything else.

    A place is two values that any database can be asked for: callers may make cursors up.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        number, name = msgspec.json.decode(raw, type=tuple[int, str])
        name.encode()  # ValueError for a lone surrogate
    except (ValueError, msgspec.MsgspecError) as error:
        raise not_ours() from error
    if abs(number) > _FARTHEST or "\0" in name:
        raise not_ours()
    return number, name


def not_ours() -> Problem:
    """Return the problem of a cursor that no page gave out."""
    return Problem(422, "invalid_cursor", "pass the `next` of the previous page unchanged")
