"""The numbers of windows that are summed, and what it costs to look at so many sums."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCALES: Final = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)
"""Neighbours are alike, so each more costs few false alarms; a shift of a tenth between two of them
is found later. With half as many +25 % of a 5 % LF takes a quarter of a window more."""
LONGEST: Final = SCALES[-1]

LASTING: Final = 6
PRICE: Final = 6.0
PRICE_OF_LASTING: Final = 4.0
"""By how much the p-value of a sum is multiplied, for looking at so many overlapping ones; less
from LASTING windows on. The budget is of episodes, not of windows in alarm: what puts a sum of 12
windows beyond a threshold keeps it there for several, so it opens fewer episodes than its p-value
says, by Siegmund's (1985) correction for overshoot. Simulated, 40,000 quiet windows of 30 LFs: at
p < 10⁻⁴ sums of 1 and of 3 windows alone open .6·10⁻⁴ episodes a window, of 12 .4, of 48 .16."""

MIN_LOGIT: Final = 0.10
"""Shifts smaller than this (in logit p) are not worth a page, however certain."""

GROSS_ODDS: Final = 3.0
"""While the baseline is learning, and of series that wander, only shifts at least this large are
reported."""

MIN_RECORDS: Final = 20
"""A share of fewer records than this is not compared."""

MIN_VOTES: Final = 13
"""Votes from which a sum can tell: of 13 expected none comes with a chance of e⁻¹³, so a death is
seen; it is as rare as the scan asks for. A sum that has not got so far counts at its present rate,
up to the longest."""


LEAST_FREEDOM: Final = 3.0
"""Minimum degrees of freedom that a sum is tested with."""


def price(windows: Ints) -> Floats:
    """Return what the p-values of sums of so many windows are multiplied by."""
    return np.where(windows < LASTING, PRICE, PRICE_OF_LASTING)
