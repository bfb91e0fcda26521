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


class NoticeEvent(StrEnum):
    """What a notice tells of, where it is not drift."""

    PROBE_BROKEN = "probe_broken"  # an LF is quarantined, or released
    DATA_GAP = "data_gap"  # a source no longer holds what a stream would read next
    WATERMARK_STALE = "watermark_stale"  # the watermark stalls, or moves again
    LATE_RECORDS = "late_records"  # most records come too late, or no longer do
    ASSUMED_NORMAL = "assumed_normal"  # a baseline included traffic with open alerts as normal
    TRAINING_SKEW = "training_skew"  # the training data never matched the live traffic
    STREAM_BLIND = "stream_blind"  # a stream cannot see its traffic, or sees it again


@dataclass(frozen=True, slots=True)
class Message:
    """A message for any receiver. ``body`` is plain JSON data."""

    dedup_key: str
    """The same for the same stream, window and status, however often it is evaluated or sent;
    at most 40 ASCII characters."""
    body: Mapping[str, Any]
