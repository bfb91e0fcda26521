"""Words that the database keeps and several rooms read: states of windows and candidates, buckets.

One home for each, so that a typing error is an error.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class WindowState(StrEnum):
    """What an evaluated window was for."""

    BEFORE = "before"  # the range of the baseline begins later
    BASELINE = "baseline"  # the baseline is fitted from it
    LEARNING = "learning"  # compared with a baseline that has few windows
    COMPARED = "compared"


class CandidateState(StrEnum):
    """What became of a candidate."""

    PROPOSED = "proposed"


class SampleBucket(StrEnum):
    """What samples of a window are drawn from; each LF also has a bucket of its own (``of_lf``)."""

    ALL = "all"  # all records alike
    BLIND_SPOT = "blind_spot"  # records on which every LF abstains
    CONFLICT = "conflict"  # records on which LFs contradict each other


LF_PREFIX: Final = "lf:"


def of_lf(name: str) -> str:
    """Return the bucket of the records that an LF votes on."""
    return LF_PREFIX + name
