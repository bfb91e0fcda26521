"""Cursors of pages: opaque to callers, a place in a stable order to us."""

from __future__ import annotations

import base64
import binascii

import msgspec

from tidegauge_service.api.problems import Problem

Place = tuple[int, str]


def to_cursor(place: Place) -> str:
    """Return the text that stands for a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def from_cursor(cursor: str | None) -> Place | None:
    """Return the place that a cursor stands for; Problem 422 for anything else."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        detail = "give back the `next` of the page before, unchanged"
        raise Problem(422, "invalid_cursor", detail) from error
