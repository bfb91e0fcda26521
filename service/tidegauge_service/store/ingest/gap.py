"""What lies between the position of a partition and what its source still holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GapCause(StrEnum):
    """Why a partition goes on elsewhere than it stood."""

    RETENTION = "retention"  # the oldest inputs were removed before they were read
    TRUNCATED = "truncated"  # the log ends before the position: what was counted is gone there
    RECREATED = "recreated"  # another topic of that name
    REWRITTEN = "rewritten"  # a file holds other content than was counted: read as new
    REMOVED = "removed"  # a file went away before it was read to its end
    PARTITION_ADDED = "partition_added"  # the topic has grown: read from its beginning


@dataclass(frozen=True, slots=True)
class Gap:
    """A partition cannot go on at ``from_offset``, but at ``to_offset``.

    ``lost``: inputs that were never read and cannot be any more, as far as is known.
    """

    partition: int
    cause: GapCause
    from_offset: int
    to_offset: int
    lost: int
    topic_id: str | None
