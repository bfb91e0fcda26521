"""From how much on the votes are believed, and how sure they make of anything."""

from __future__ import annotations

from typing import Final

MIN_LFS: Final = 3
"""With fewer LFs, accuracies are not identified: use the majority vote."""

MIN_VOTES: Final = 20
"""The votes of an LF with fewer are too few to be trusted."""

SD_ALONE: Final = 0.25
"""Standard deviation of a precision of which nothing is known; set so that intervals covered the
truth on three real sets and ten simulated worlds, like the one below."""

SD_SHARED: Final = 0.10
"""Of all precisions together: what votes alone cannot see."""
