"""The sample of distinct texts: the same for every order, partition and batch; exact when small."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes, text_sample
from tidegauge_probes.counts.text_keys import Keys, mixed
from tidegauge_probes.counts.text_sample import MOST_TEXTS, TextSample
from tidegauge_probes.errors import CountsError

Outcomes = npt.NDArray[np.int8]


def sample(keys: Keys, outcomes: Outcomes, rows: npt.NDArray[np.int64] | None = None) -> TextSample:
    some = np.arange(len(keys)) if rows is None else rows
    side = {"side=even": some % 2 == 0, "side=odd": some % 2 == 1}
    return TextSample.of(keys[some], outcomes[some], side)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Room for eight texts, so that levels rise."""
    monkeypatch.setattr(text_sample, "MOST_TEXTS", 8)
    return 8


@st.composite
def records(draw: st.DrawFn) -> tuple[Keys, Outcomes, list[npt.NDArray[np.int64]]]:
    """Return keys and outcomes of records, and a partition of their rows."""
    n = draw(st.integers(0, 60))
    texts = draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))
    votes = draw(st.lists(st.integers(-2, 1), min_size=2 * n, max_size=2 * n))
    of = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.int64)
    rows = np.array(draw(st.permutations(range(n))), dtype=np.int64)
    keys = mixed(np.array(texts, dtype=np.uint64))
    return keys, np.array(votes, dtype=np.int8).reshape(n, 2), [rows[of == p] for p in range(4)]


@settings(max_examples=200)
@given(records())
def test_every_partition_gives_the_same_sample(
    case: tuple[Keys, Outcomes, list[npt.NDArray[np.int64]]],
) -> None:
    keys, outcomes, parts = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_sample, "MOST_TEXTS", 8)
        whole = sample(keys, outcomes)
        assert reduce(add, [sample(keys, outcomes, part) for part in parts]) == whole
        level = whole.level  # a batch on top of what runs leaves out what will not stay
        begun = sample(keys, outcomes, parts[0])
        for rows in parts[1:]:
            side = {"side=even": rows % 2 == 0, "side=odd": rows % 2 == 1}
            begun += TextSample.of(keys[rows], outcomes[rows], side, begun.level)
        assert begun == whole
        assert len(whole.keys) <= 8
        assert (whole.keys >> np.uint64(64 - level) == 0).all() if level else True
        assert text_sample.decode(whole.encode()) == whole


def test_copies_are_counted_and_their_text_once() -> None:
    keys = np.array([7, 3, 7, 7], dtype=np.uint64)
    outcomes = np.array([[0, -1], [1, -1], [0, -1], [0, -1]], dtype=np.int8)
    found = sample(keys, outcomes)
    assert (found.keys.tolist(), found.copies.tolist()) == ([3, 7], [1, 3])
    assert found.outcomes.tolist() == [[1, -1], [0, -1]]
    assert found.members.tolist() == [[False, True], [True, True]]
    [top] = found.frequent()
    assert (top.key, top.copies, top.outcomes) == (7, 3, b"\0\xff")
    assert top.name == "0000000000000007"


def test_votes_that_differ_between_copies_are_not_favoured() -> None:
    # An LF that reads another field votes on every second copy: on half of the texts it counts.
    keys = np.repeat(mixed(np.arange(1, 2_001, dtype=np.uint64)), 2)
    outcomes = np.tile(np.array([[0], [-1]], dtype=np.int8), (2_000, 1))
    found = TextSample.of(keys, outcomes, {})
    assert (found.outcomes == 0).mean() == pytest.approx(0.5, abs=0.05)


def test_a_large_window_is_sampled_by_text_not_by_record() -> None:
    rng = np.random.default_rng(0)
    keys = mixed(np.arange(1, 50_001, dtype=np.uint64))
    keys = np.concatenate([keys, np.repeat(keys[:5_000], 9)])
    votes = np.where(np.arange(len(keys)) < 5_000, 0, -1)
    votes[50_000:] = 0  # the LF votes on the texts that come ten times, on one in ten of all
    outcomes = votes[:, None].astype(np.int8)
    order = rng.permutation(len(keys))
    found = TextSample.of(keys[order], outcomes[order], {})
    assert found.level == 4
    assert len(found.keys) <= MOST_TEXTS
    assert found.texts == pytest.approx(50_000, rel=0.06)
    assert (found.outcomes == 0).mean() == pytest.approx(0.1, abs=0.02)


def test_a_small_window_is_exact(few: int) -> None:
    keys = mixed(np.arange(1, few + 1, dtype=np.uint64))
    none = np.empty((few, 0), dtype=np.int8)
    assert (TextSample.of(keys, none, {}).level, TextSample.of(keys, none, {}).texts) == (0, few)


def test_no_records_make_an_empty_sample() -> None:
    nothing = TextSample.of(np.empty(0, np.uint64), np.empty((0, 2), np.int8), {})
    assert (nothing.texts, nothing.frequent()) == (0, ())
    assert text_sample.decode(nothing.encode()) == nothing + nothing == nothing


@pytest.mark.parametrize("broken", [b"", b"TGT", b"something else", b"TGT\x02" + b"\0" * 9])
def test_what_is_no_sample_is_refused(broken: bytes) -> None:
    with pytest.raises(CountsError, match="sample of texts is broken"):
        text_sample.decode(broken)


def test_a_cut_sample_is_refused() -> None:
    whole = sample(np.array([7, 3], dtype=np.uint64), np.zeros((2, 1), dtype=np.int8)).encode()
    for end in (10, 20, len(whole) - 1):
        with pytest.raises(CountsError):
            text_sample.decode(whole[:end])


def test_a_closed_window_has_the_counts_of_its_distinct_texts() -> None:
    keys = np.array([7, 3, 7, 9], dtype=np.uint64)
    outcomes = np.array([[0], [-1], [0], [1]], dtype=np.int8)
    unknown = panes.fold(matrix(outcomes), 2, {})
    assert unknown.settled().distinct is None
    distinct = replace(unknown, texts=sample(keys, outcomes)).settled().distinct
    assert distinct is not None
    assert (distinct.counts.records, distinct.texts, distinct.level) == (3, 3, 0)
    assert distinct.counts.all.outcomes.tolist() == [[1, 1, 1, 0]]
    assert distinct.counts.segments["side=even"].totals[0] == 1
    twice = distinct + distinct
    assert (twice.counts.records, twice.texts, len(twice.frequent)) == (6, 6, 1)
