"""Vote matrices for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tidegauge_probes.model import Outcomes, VoteMatrix


@st.composite
def outcomes(draw: st.DrawFn, *, errors: bool = True, classes: int = 3) -> Outcomes:
    """Draw int8 [0…30, 1…6] of votes, abstains and (if asked for) errors."""
    n, m = draw(st.integers(0, 30)), draw(st.integers(1, 6))
    codes = st.integers(-2 if errors else -1, classes - 1)
    rows = draw(st.lists(st.lists(codes, min_size=m, max_size=m), min_size=n, max_size=n))
    return np.array(rows, dtype=np.int8).reshape(n, m)


def matrix(votes: Outcomes) -> VoteMatrix:
    """Wrap outcomes as a batch without segments."""
    n, m = votes.shape
    return VoteMatrix(votes, np.zeros((n, 0), np.bool_), np.zeros(m))
