"""How many votes it takes to believe an estimate, and how certain one can be."""

from __future__ import annotations

from typing import Final

MIN_LFS: Final = 3
"""With fewer LFs, accuracies are not identified: use the majority vote."""

MIN_VOTES: Final = 20
"""An LF with fewer votes is not trusted."""

SD_ALONE: Final = 0.25
"""Standard deviation of a precision about which nothing is known; set, like the next one, so that
intervals covered the truth on three real data sets and ten simulated worlds."""

SD_SHARED: Final = 0.10
"""Standard deviation common to all precisions: the error that votes alone cannot show."""
