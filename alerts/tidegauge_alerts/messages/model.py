"""What a message is, whatever it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

VERSION: Final = "1"
"""Of the format of bodies: keys are added within a version, never removed or given another
meaning."""


class Status(StrEnum):
    """What a message tells of, as in Alertmanager."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Message:
    """A message for any receiver. ``body`` is plain JSON data."""

    dedup_key: str
    """The same for the same stream, window and status, however often it is evaluated or sent;
    at most 40 ASCII characters."""
    body: Mapping[str, Any]
