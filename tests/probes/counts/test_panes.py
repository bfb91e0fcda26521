"""Counts are additive, and encode to the same bytes in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.strategies import matrix, outcomes
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import BLIND, CONFLICTED, COVERED, OVERLAPPED, PaneCounts
from tidegauge_probes.drift.series.pairs import pair_counts
from tidegauge_probes.errors import CountsError
from tidegauge_probes.model import ABSTAIN, ERROR, Fault, Outcomes, VoteMatrix

K = 3


def fold(votes: Outcomes, classes: int = K) -> PaneCounts:
    even = np.arange(len(votes)) % 2 == 0
    return panes.fold(matrix(votes), classes, {"side=even": even, "side=odd": ~even})


@given(outcomes(), st.data())
def test_any_split_in_any_order_adds_to_the_same_bytes(
    votes: Outcomes, data: st.DataObject
) -> None:
    n = len(votes)
    side = np.arange(n) % 2 == 0
    pieces = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    order = data.draw(st.permutations(range(4)))
    parts = []
    for piece in order:
        rows = np.array(pieces, dtype=np.int64).reshape(n) == piece
        segments = {"side=even": side[rows], "side=odd": ~side[rows]}
        parts.append(panes.fold(matrix(votes[rows]), K, segments))
    whole = panes.fold(matrix(votes), K, {"side=even": side, "side=odd": ~side})
    assert reduce(add, parts).encode() == whole.encode()
    assert reduce(lambda a, b: b + a, parts).encode() == whole.encode()


@given(outcomes())
def test_encoding_is_lossless(votes: Outcomes) -> None:
    pane = fold(votes)
    again = panes.decode(pane.encode())
    assert again == pane
    assert (again.gram == pane.gram).all()
    assert again.segments.keys() == pane.segments.keys()


@given(outcomes())
def test_totals_are_what_a_loop_counts(votes: Outcomes) -> None:
    pane = fold(votes)
    rows = [[v for v in row if v >= 0] for row in votes.tolist()]
    assert pane.records == len(rows)
    assert pane.all.totals[COVERED] == sum(len(r) > 0 for r in rows)
    assert pane.all.totals[OVERLAPPED] == sum(len(r) > 1 for r in rows)
    assert pane.all.totals[CONFLICTED] == sum(len(set(r)) > 1 for r in rows)
    blind = sum(all(v == ABSTAIN for v in row) for row in votes.tolist())
    assert pane.all.totals[BLIND] == blind
    assert pane.all.outcomes.sum() == votes.size
    assert (pane.all.errors == (votes == ERROR).sum(axis=0)).all()


def test_batches_too_large_for_exact_sums_are_added_up_in_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes = np.random.default_rng(1).integers(ERROR, 2, (50, 4)).astype(np.int8)
    whole = fold(votes)
    monkeypatch.setattr(panes, "MOST_EXACT", 7)
    assert fold(votes) == whole


@given(outcomes())
def test_gram_counts_joint_votes(votes: Outcomes) -> None:
    together, agreeing = pair_counts(fold(votes))
    for i in range(votes.shape[1]):
        for j in range(votes.shape[1]):
            both = (votes[:, i] >= 0) & (votes[:, j] >= 0)
            assert together[i, j] == both.sum()
            assert agreeing[i, j] == (both & (votes[:, i] == votes[:, j])).sum()


def test_a_failing_lf_is_neither_covered_nor_blind() -> None:
    votes = np.array([[ERROR, ABSTAIN], [ABSTAIN, ABSTAIN], [ERROR, 1]], dtype=np.int8)
    totals = fold(votes).all.totals
    assert (totals[BLIND], totals[COVERED]) == (1, 1)


def test_faults_add_up_and_keep_the_smallest_message() -> None:
    none = np.zeros((1, 0), np.bool_)
    error = np.array([[ERROR]], dtype=np.int8)

    def failed(message: str) -> PaneCounts:
        fault = Fault(0, 0, "KeyError", message)
        return panes.fold(VoteMatrix(error, none, np.zeros(1), (fault,)), 2, {})

    total = failed("b") + failed("a") + failed("c")
    assert dict(total.faults) == {(0, "KeyError"): (3, "a")}
    assert panes.decode(total.encode()).faults == total.faults


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda b: b[:5], "truncated"),
        (lambda b: b"XXX" + b[3:], "not written by tidegauge"),
        (lambda b: b[:3] + b"\x09" + b[4:], "version 9"),
        (lambda b: b[:-3], "broken"),
        (lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:], "broken"),
    ],
)
def test_a_foreign_or_broken_blob_is_a_clear_error(
    damage: Callable[[bytes], bytes], says: str
) -> None:
    encoded = fold(np.zeros((3, 2), dtype=np.int8)).encode()
    with pytest.raises(CountsError, match=says):
        panes.decode(damage(encoded))


ENCODED = fold(np.arange(12, dtype=np.int8).reshape(6, 2) % 3).encode()


@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255), st.integers(0, len(ENCODED) - 1))
def test_damaged_counts_are_an_error_never_other_counts(at: int, change: int, cut: int) -> None:
    for damaged in (
        ENCODED[:at] + bytes([ENCODED[at] ^ change]) + ENCODED[at + 1 :],
        ENCODED[:cut],
    ):
        try:
            again = panes.decode(damaged)
        except CountsError:
            continue
        assert again == panes.decode(ENCODED)


def test_counts_of_another_probe_set_do_not_add() -> None:
    with pytest.raises(CountsError, match="the ProbeSets differ"):
        panes.empty(2, 2) + panes.empty(3, 2)


def wide(votes: Outcomes) -> PaneCounts:
    """Count as if LFs × classes were too many to be counted together."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(panes, "MAX_PAIRED", 0)
        patched.setattr(panes, "_CELLS", 7)  # a few records at a time
        return panes.decode(fold(votes).encode())


@given(outcomes())
def test_of_too_many_lfs_all_is_counted_but_what_comes_together(votes: Outcomes) -> None:
    mine = wide(votes)
    assert mine.gram.size == 0
    assert replace(mine, gram=fold(votes).gram) == fold(votes)
    assert replace(mine + mine, gram=2 * fold(votes).gram) == fold(votes) + fold(votes)


@pytest.mark.parametrize(("n", "lfs", "classes"), [(1, 1, 2), (33, 17, 2), (257, 9, 5)])
def test_no_number_is_read_from_memory_that_was_not_written(n: int, lfs: int, classes: int) -> None:
    """Freed memory full of signalling NaNs is what ``np.empty`` may be given next."""
    rng = np.random.default_rng(n)
    outcomes = rng.integers(-2, classes, size=(n, lfs)).astype(np.int8)
    one_hot = (outcomes[:, :, None] == np.arange(classes)).reshape(n, -1).astype(np.int64)
    for _ in range(20):
        sizes = (n * lfs * classes, n * classes, n, 3 * n, (lfs * classes) ** 2, 3 * lfs * classes)
        dirt = [np.full(size, 0x7FA00001, dtype=np.uint32) for size in sizes]
        del dirt
        with np.errstate(all="raise"):
            votes = panes._Votes.of(outcomes, classes)
            gram, counted = votes.gram(), votes.count(None)
        assert set(np.unique(votes.psi).tolist()) <= {0.0, 1.0}
        assert np.array_equal(gram, one_hot.T @ one_hot)
        assert counted.outcomes.sum() == n * lfs


def test_a_nan_would_be_told_of_by_the_cast() -> None:
    """The flag of a product is not looked at, because OpenBLAS sets it without a reason."""
    wrong = panes._product(
        np.array([[np.nan]], dtype=np.float32), np.ones((1, 1), dtype=np.float32)
    )
    with pytest.raises(RuntimeWarning, match="invalid value encountered in cast"):
        wrong.astype(np.int64)
