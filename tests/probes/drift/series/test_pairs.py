"""Which pairs are followed."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.strategies import matrix, outcomes
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift.series import pairs
from tidegauge_probes.drift.series.pairs import MAX_PAIRS, PAIRS_OF_LF
from tidegauge_probes.model import ABSTAIN, Layout, Outcomes


def abstaining(records: int, lfs: int) -> Outcomes:
    return np.full((records, lfs), ABSTAIN, dtype=np.int8)


def counted(votes: Outcomes) -> PaneCounts:
    return panes.fold(matrix(votes), 3, {})


def voting(
    common: int, *, only_first: int = 0, only_second: int = 0, rest: int = 500
) -> PaneCounts:
    """Count two LFs that vote together on *common* records."""
    votes = abstaining(common + only_first + only_second + rest, 2)
    votes[: common + only_first, 0] = 0
    votes[:common, 1] = 0
    votes[common + only_first : common + only_first + only_second, 1] = 0
    return counted(votes)


@pytest.mark.parametrize(
    ("common", "windows", "followed"),
    [
        (12, 0, False),
        (13, 0, True),  # of a vote matrix nobody knows how many come in a window
        (13, 20, True),
        (13, 64, True),
        (13, 65, False),  # 64 windows are expected to have 12.8
        (14, 65, True),
    ],
)
def test_a_pair_is_followed_where_13_common_votes_came_and_will_come(
    common: int, windows: int, *, followed: bool
) -> None:
    pane = voting(common, only_first=20, only_second=30)
    assert pairs.informative(pane, windows) == (((0, 1),) if followed else ())


def test_the_rarer_lf_comes_first_and_of_two_alike_the_first() -> None:
    assert pairs.informative(voting(20, only_first=9, only_second=8), 0) == ((1, 0),)
    assert pairs.informative(voting(20, only_first=8, only_second=9), 0) == ((0, 1),)
    assert pairs.informative(voting(20, only_first=8, only_second=8), 0) == ((0, 1),)


def test_of_many_pairs_those_that_are_no_chance_are_followed() -> None:
    rng = np.random.default_rng(3)
    votes = abstaining(2_000, 6)
    votes[rng.random(votes.shape) < 0.4] = 0  # every two vote together on about 320 records
    votes[:, 5] = np.where(rng.random(2_000) < 0.95, votes[:, 4], votes[:, 5])
    votes[:, 3] = np.where(rng.random(2_000) < 0.3, votes[:, 0], votes[:, 3])
    found = {frozenset(pair) for pair in pairs.informative(counted(votes), 0)}
    assert {frozenset((4, 5)), frozenset((0, 3))} <= found
    told = pairs.mutual_information(pairs.pair_counts(counted(votes))[0], 2_000)
    assert told[4, 5] > told[0, 3] > 10 * told[1, 2] >= 0


@given(outcomes(), st.integers(0, 3))
def test_no_lf_is_in_more_pairs_than_three(votes: Outcomes, windows: int) -> None:
    often = np.repeat(votes, 13, axis=0)
    pane = counted(often)
    found = pairs.informative(pane, windows)
    together, _ = pairs.pair_counts(pane)
    usable = {(i, j) for i, j in combinations(range(pane.lfs), 2) if together[i, j] >= 13}
    assert {tuple(sorted(pair)) for pair in found} <= usable
    assert [sorted(pair) for pair in found] == sorted(sorted(pair) for pair in found)
    of_lf = Counter(lf for pair in found for lf in pair)
    assert max(of_lf.values(), default=0) <= PAIRS_OF_LF
    # A pair is left out only where one of its LFs has others that tell more.
    left = usable - {tuple(sorted(pair)) for pair in found}
    assert all(PAIRS_OF_LF in (of_lf[i], of_lf[j]) for i, j in left)


def test_there_is_an_end_to_the_pairs_of_many_lfs() -> None:
    pane = counted(np.zeros((20, 160), dtype=np.int8))
    assert len(pairs.informative(pane, 0)) == MAX_PAIRS


def test_what_was_not_counted_is_not_followed() -> None:
    assert pairs.informative(panes.empty(30, 100), 0) == ()


@pytest.mark.parametrize(
    ("common", "labels", "told"),
    [
        (26, ((0, 1), (0, 1)), True),
        (26, ((0,), (0, 1)), True),
        (25, ((0, 1), (0, 1)), False),  # half of them are 12
        (99, ((0,), (0,)), False),  # they agree whatever comes
        (99, ((0,), (1,)), False),  # or contradict each other
    ],
)
def test_agreement_is_followed_where_both_outcomes_could_be_told(
    common: int, labels: tuple[tuple[int, ...], ...], *, told: bool
) -> None:
    layout = Layout(("a", "b"), ("A", "B", "C"), labels)
    followed = pairs.contestable(((0, 1),), voting(common), layout, 10)
    assert followed == (((0, 1),) if told else ())


def test_mutual_information_is_what_a_sum_over_cells_says() -> None:
    both, one, other, none = 30, 10, 20, 140
    pane = voting(both, only_first=one, only_second=other, rest=none)
    together, _ = pairs.pair_counts(pane)
    cells = [(30, 40, 50), (10, 40, 150), (20, 160, 50), (140, 160, 150)]
    expected = sum(n * np.log(n * 200 / (row * column)) for n, row, column in cells)
    assert pairs.mutual_information(together, 200)[0, 1] == pytest.approx(expected)
