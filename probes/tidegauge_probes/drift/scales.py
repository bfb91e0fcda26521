"""The numbers of windows that are summed, and what it costs to test that many sums."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCALES: Final = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)
"""Neighbours are alike, so one more costs few false alarms; with half as many, a shift between two
of them is found later: +25 % of a 5 % LF takes a quarter of a window more."""
LONGEST: Final = SCALES[-1]

LASTING: Final = 6
PRICE: Final = 6.0
PRICE_OF_LASTING: Final = 4.0
"""Factor on the p-value of a sum, the price of testing so many overlapping ones; it falls from
LASTING windows on. The budget counts episodes, not windows in alarm: what puts a sum of 12 windows
beyond a threshold keeps it there for several windows, so it opens fewer episodes than its p-value
says (Siegmund's 1985 correction for overshoot). Simulated with 40,000 quiet windows of 30 LFs at
p < 10⁻⁴: .6 episodes per 10⁴ windows for sums of 1 and of 3 windows, .4 for 12, .16 for 48."""

MIN_LOGIT: Final = 0.10
"""Shifts smaller than this (in logit p) are not worth a page, however certain."""

MIN_RECORDS: Final = 20
"""Shares of fewer records than this are not compared."""

MIN_VOTES: Final = 13
"""Votes at which a sum becomes meaningful: if 13 are expected, none occurs with probability e⁻¹³,
about what the scan asks for, so that an LF's death is seen. A sum that has not got there yet is
counted at its present rate, up to the longest sum."""


LEAST_FREEDOM: Final = 3.0
"""Lower bound of the degrees of freedom with which a sum is tested."""


def price(windows: Ints) -> Floats:
    """Return the factor on the p-values of sums of this many windows."""
    return np.where(windows < LASTING, PRICE, PRICE_OF_LASTING)
