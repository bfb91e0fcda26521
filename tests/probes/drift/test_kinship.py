"""Whether two shifts have one cause, told from votes that are made for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift.kinship import Moves
from tidegauge_probes.drift.series.series_plan import plan
from tidegauge_probes.findings import Kinship, SeriesKey, SeriesKind
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import Layout, VoteMatrix

Mask = npt.NDArray[np.bool_]

LFS, N = 6, 40_000
RATES = np.array([0.05, 0.08, 0.10, 0.12, 0.06, 0.07])
NAMES = tuple(f"lf{j}" for j in range(LFS))
LAYOUT = Layout(NAMES, ("a", "b"), ((0,),) * LFS)


def lf(j: int, segment: str = "_all") -> SeriesKey:
    return SeriesKey(SeriesKind.COVERAGE, segment, NAMES[j])


BLIND = SeriesKey(SeriesKind.BLIND_SPOT)


def votes(seed: int, n: int = N) -> Mask:
    return np.random.default_rng(seed).random((n, LFS)) < RATES


def moves(now: Mask, before: Mask) -> Moves:
    counted = [_count(before), _count(now)]
    chosen = plan(LAYOUT, counted[0], (), None, windows=300, volume=False)
    keys = chosen.keys()
    (x0, n0), (x1, n1) = (chosen.extract(counts) for counts in counted)
    return Moves(
        LAYOUT,
        {key: (int(x), int(n)) for key, x, n in zip(keys, x1, n1, strict=True)},
        {key: x / n for key, x, n in zip(keys, x0.tolist(), n0.tolist(), strict=True) if n},
        PairCounts.of(counted[1]),
        PairCounts.of(counted[0]),
    )


def _count(voted: Mask) -> PaneCounts:
    outcomes = np.where(voted, 0, -1).astype(np.int8)
    matrix = VoteMatrix(outcomes, np.zeros((len(voted), 0), np.bool_), np.zeros(LFS))
    return panes.fold(matrix, 2, {})


def of_topic(voted: Mask, share: float, lfs: tuple[int, ...], rate: float) -> Mask:
    """Let some LFs vote on records of a topic of their own, which is a share of the records."""
    found, rng = voted.copy(), np.random.default_rng(lfs)
    topic = rng.random(len(voted)) < share
    for j in lfs:
        found[topic, j] |= rng.random(int(topic.sum())) < rate
    return found


def thinned(voted: Mask, j: int, left: float) -> Mask:
    found = voted.copy()
    found[:, j] &= np.random.default_rng(j).random(len(voted)) < left
    return found


def test_lfs_that_a_topic_moves_are_kin_and_those_of_another_topic_are_not() -> None:
    now = of_topic(of_topic(votes(1, 6_000), 0.08, (0, 1), 0.5), 0.08, (2, 3), 0.5)
    found = moves(now, votes(0))
    assert found.kinship(lf(0), lf(1)) is Kinship.SAME
    assert found.kinship(lf(2), lf(3)) is Kinship.SAME
    assert found.kinship(lf(0), lf(2)) is Kinship.DIFFERENT


def test_a_topic_that_leaves_takes_its_lfs_along() -> None:
    before = of_topic(votes(0), 0.1, (0, 1), 0.7)
    gone = moves(votes(1, 8_000), before)
    assert gone.kinship(lf(0), lf(1)) is Kinship.SAME
    each = thinned(thinned(of_topic(votes(1, 8_000), 0.1, (0, 1), 0.7), 0, 0.5), 1, 0.5)
    assert moves(each, before).kinship(lf(0), lf(1)) is Kinship.UNKNOWN
    strangers = thinned(thinned(votes(1, 8_000), 2, 0.5), 3, 0.5)
    assert moves(strangers, before).kinship(lf(2), lf(3)) is Kinship.DIFFERENT


def test_two_dead_lfs_that_hardly_ever_met_have_two_causes() -> None:
    now = thinned(thinned(votes(1, 5_000), 0, 0.0), 1, 0.0)
    assert moves(now, votes(0)).kinship(lf(0), lf(1)) is Kinship.DIFFERENT


def test_unknown_records_dilute_the_lfs_and_spare_the_one_that_died() -> None:
    now = votes(1, 8_000)
    now[np.random.default_rng(2).random(len(now)) < 0.2] = False
    diluted = moves(thinned(now, 0, 0.0), votes(0))
    assert {diluted.kinship(BLIND, lf(j)) for j in (1, 2, 3)} == {Kinship.SAME}
    assert diluted.kinship(BLIND, lf(0)) is not Kinship.SAME


def test_a_dead_lf_leaves_records_blind() -> None:
    dead = moves(thinned(votes(1, 8_000), 3, 0.0), votes(0))
    assert dead.kinship(lf(3), BLIND) is Kinship.SAME


def test_a_topic_that_grows_dilutes_all_others() -> None:
    now = votes(1, 8_000)
    topic = np.random.default_rng(3).random(len(now)) < 0.2
    now[topic] = False
    now[topic, 0] = True
    found = moves(now, votes(0))
    assert found.kinship(lf(0), lf(3)) is Kinship.SAME
    assert moves(thinned(now, 3, 0.0), votes(0)).kinship(lf(0), lf(3)) is Kinship.DIFFERENT


@pytest.mark.parametrize(
    ("one", "other", "kinship"),
    [
        (lf(0), lf(0, "a=x"), Kinship.SAME),
        (lf(0), SeriesKey(SeriesKind.CO_VOTE, probe="lf3", other="lf0"), Kinship.SAME),
        (BLIND, SeriesKey(SeriesKind.BLIND_SPOT, "a=x"), Kinship.SAME),
        (SeriesKey(SeriesKind.SEGMENT_SHARE, "a=x"), SeriesKey(SeriesKind.SEGMENT_SHARE, "a=y"),
         Kinship.SAME),
        (SeriesKey(SeriesKind.SEGMENT_SHARE, "a=x"), SeriesKey(SeriesKind.SEGMENT_SHARE, "b=y"),
         Kinship.UNKNOWN),
        (SeriesKey(SeriesKind.CLASS_SHARE, label="a"), lf(1), Kinship.SAME),
        (lf(0, "a=x"), lf(1, "a=y"), Kinship.DIFFERENT),
        (SeriesKey(SeriesKind.VOLUME), lf(1), Kinship.UNKNOWN),
    ],
)  # fmt: skip
def test_names_say_it_where_counts_need_not(
    one: SeriesKey, other: SeriesKey, kinship: Kinship
) -> None:
    found = moves(votes(1, 2_000), votes(0))
    assert found.kinship(one, other) is kinship
    assert found.kinship(other, one) is kinship


def test_windows_without_records_tell_nothing_and_break_nothing() -> None:
    found = moves(votes(1, 0), votes(0))
    assert found.kinship(lf(0), BLIND) is Kinship.UNKNOWN
    assert isinstance(found.kinship(lf(0), lf(1)), Kinship)
