from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegauge_probes.model import ABSTAIN, ERROR, Record, VoteMatrix
from tidegauge_service.config.stream_file import SampleSizes
from tidegauge_service.ingest.samples import (
    MAX_PRIORITY,
    Samplers,
    WindowSampler,
    buckets,
    priorities,
)
from tidegauge_service.ingest.segments import memberships

Kept = dict[str, set[int]]


def records(n: int, start: int = 0) -> list[Record]:
    return [Record(f"r{number}", 1_000 * number, {}) for number in range(start, start + n)]


def belongs(n: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Put row r in `all`, every third in `lf:a`, every fifth in the blind spot."""
    rows = np.arange(n)
    return {"all": rows >= 0, "lf:a": rows % 3 == 0, "blind_spot": rows % 5 == 0}


def smallest(kept: list[tuple[int, tuple[str, ...]]], sizes: SampleSizes) -> Kept:
    """Cut what was kept down to the sample, as evaluation does."""
    sampler = WindowSampler(sizes)
    names = {name for _, of in kept for name in of}
    return {
        name: set(sorted(p for p, of in kept if name in of)[: sampler.size(name)]) for name in names
    }


def take_in_pieces(
    cuts: list[int], n: int, sizes: SampleSizes, *, restart: bool = False
) -> list[tuple[int, tuple[str, ...]]]:
    """Sample n records in batches cut at *cuts*; *restart*: a new sampler for each batch."""
    priority, where = priorities("s", records(n)), belongs(n)
    sampler, kept = WindowSampler(sizes), list[tuple[int, tuple[str, ...]]]()
    edges = [0, *sorted(cuts), n]
    for start, end in itertools.pairwise(edges):
        if restart:
            sampler = Samplers(sizes, {}, {0: kept})[0]
        piece = {name: mask[start:end] for name, mask in where.items()}
        taken = sampler.take(priority[start:end], piece)
        kept += [(int(priority[start + row]), tuple(names)) for row, names in taken.items()]
    return kept


@given(st.lists(st.integers(0, 200), max_size=5), st.integers(0, 30), st.integers(0, 30))
def test_the_sample_of_a_split_stream_is_the_sample_of_the_whole(
    cuts: list[int], each: int, blind: int
) -> None:
    sizes = SampleSizes(each=each, blind_spot=blind)
    whole = smallest(take_in_pieces([], 200, sizes), sizes)
    assert smallest(take_in_pieces(cuts, 200, sizes), sizes) == whole
    priority = priorities("s", records(200))
    for name, mask in belongs(200).items():
        k = blind if name == "blind_spot" else each
        expected = set(np.sort(priority[mask])[:k].tolist())
        assert whole.get(name, set()) == expected


@given(st.lists(st.integers(0, 200), max_size=5), st.integers(0, 30))
def test_a_restored_sampler_keeps_what_the_continuing_one_keeps(cuts: list[int], each: int) -> None:
    sizes = SampleSizes(each=each, blind_spot=each)
    assert take_in_pieces(cuts, 200, sizes, restart=True) == take_in_pieces(cuts, 200, sizes)


def test_samples_of_partitions_merge() -> None:
    sizes = SampleSizes(each=10, blind_spot=10)
    kept = list[tuple[int, tuple[str, ...]]]()
    everything = list[int]()
    for partition in range(4):
        priority = priorities("s", records(100, start=100 * partition))
        everything += priority.tolist()
        for row, names in WindowSampler(sizes).take(priority, {"all": belongs(100)["all"]}).items():
            kept.append((int(priority[row]), tuple(names)))
    assert smallest(kept, sizes) == {"all": set(sorted(everything)[:10])}


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 30))
def test_partitions_that_share_their_limits_keep_less_and_the_same_sample(
    turns: list[int], each: int
) -> None:
    """Batches of 50 records come of the partitions in *turns*."""
    sizes = SampleSizes(each=each, blind_spot=each)
    limits: dict[int, dict[str, int]] = {}
    sharing = [Samplers(sizes, limits, {}) for _ in range(4)]
    alone = [Samplers(sizes, {}, {}) for _ in range(4)]
    where, kept = belongs(50), [list[tuple[int, tuple[str, ...]]]() for _ in range(2)]
    for turn, partition in enumerate(turns):
        priority = priorities("s", records(50, start=50 * (4 * turn + partition)))
        for some, found in zip((sharing, alone), kept, strict=True):
            taken = some[partition][0].take(priority, where)
            found += [(int(priority[row]), tuple(names)) for row, names in taken.items()]
    assert smallest(kept[0], sizes) == smallest(kept[1], sizes)
    assert len(kept[0]) <= len(kept[1])


def test_every_record_is_as_likely_as_any_other() -> None:
    """Over 2,000 streams each of 50 records is drawn 2,000 × 5 / 50 = 200 times, sd 13.4."""
    drawn = np.zeros(50, dtype=np.int64)
    for stream in range(2_000):
        priority = priorities(f"stream-{stream}", records(50, start=stream))
        drawn[np.argsort(priority)[:5]] += 1
    chi_square = ((drawn - 200) ** 2 / (200 * 0.9)).sum()
    assert chi_square < 49 + 4 * (2 * 49) ** 0.5
    assert abs(np.corrcoef(np.arange(50), drawn)[0, 1]) < 0.6


def test_priorities_depend_on_stream_id_and_time_alone() -> None:
    whole = priorities("s", records(100))
    elsewhere = [replace(r, partition=3, offset=7 * i) for i, r in enumerate(records(100))]
    assert (priorities("s", elsewhere[50:]) == whole[50:]).all()
    assert (whole >= 0).all()
    assert len(set(whole.tolist())) == 100
    assert not set(whole.tolist()) & set(priorities("t", records(100)).tolist())


def test_records_that_share_an_id_are_not_drawn_together() -> None:
    """Somebody names records by their author."""
    alike = [Record("somebody", 1_000 * number, {}) for number in range(1_000)]
    priority = np.sort(priorities("s", alike)) / MAX_PRIORITY
    assert np.abs(priority - np.arange(1_000) / 1_000).max() < 0.06  # Kolmogorov–Smirnov, 0.1 %


def test_a_bucket_of_size_zero_keeps_nothing() -> None:
    kept = take_in_pieces([50], 100, SampleSizes(each=0, blind_spot=2))
    assert {name for _, names in kept for name in names} == {"blind_spot"}


def test_records_are_put_into_buckets_by_their_votes() -> None:
    outcomes = np.array(
        [[0, ABSTAIN], [0, 0], [0, 1], [ABSTAIN, ABSTAIN], [ABSTAIN, ERROR], [ERROR, 1]],
        dtype=np.int8,
    )
    found = {name: mask.tolist() for name, mask in buckets(outcomes, ["a", "b"]).items()}
    assert found == {
        "all": [True] * 6,
        "blind_spot": [False, False, False, True, False, False],
        "conflict": [False, False, True, False, False, False],
        "lf:a": [True, True, True, False, False, False],
        "lf:b": [False, True, True, False, False, True],
    }


def no_slices(n: int) -> VoteMatrix:
    return VoteMatrix(np.empty((n, 0), np.int8), np.empty((n, 0), np.bool_), np.zeros(0))


def test_records_belong_to_slices_and_to_the_values_of_fields() -> None:
    records: list[dict[str, Any]] = [
        {"c": "DE"},
        {"c": None},
        {},
        {"c": 7},
        {"c": "x" * 500},
        {"c": True},
    ]
    matrix = VoteMatrix(np.empty((6, 0), np.int8), np.eye(6, 1, dtype=np.bool_), np.zeros(0))
    found = memberships(records, ["c"], matrix, ["long"], known=(), cap=9)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "long": [0],
        "c=DE": [0],
        "c=_missing": [1, 2],
        "c=7": [3],
        "c=" + "x" * 100: [4],
        "c=True": [5],
    }


def test_no_records_belong_nowhere() -> None:
    assert memberships([], ["c"], no_slices(0), [], known=(), cap=9) == {}


def caps(values: Sequence[Any], known: list[str], cap: int) -> dict[str, list[int]]:
    records = [{"c": value} for value in values]
    kept = memberships(records, ["c"], no_slices(len(values)), [], known=known, cap=cap)
    return {name: np.flatnonzero(mask).tolist() for name, mask in kept.items()}


def test_values_beyond_the_cap_are_other() -> None:
    assert caps(["b", "a", "c", "d"], [], 4) == {"c=a": [1], "c=b": [0], "c=c": [2], "c=d": [3]}
    assert caps(["b", "a", "c", "d"], [], 2) == {"c=a": [1], "c=b": [0], "c=_other": [2, 3]}


def test_values_that_the_pane_has_already_stay() -> None:
    assert caps(["z", "a"], ["c=z", "slice"], 1) == {"c=z": [0], "c=_other": [1]}
    assert caps(["z", "a"], ["c=z", "c=_other"], 2) == {"c=z": [0], "c=_other": [1]}


def test_a_value_named_other_joins_the_rest() -> None:
    assert caps(["_other", "a", "b"], [], 1) == {"c=_other": [0, 1, 2]}


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=20),
    st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True),
    st.integers(1, 5),
)
def test_every_record_is_in_one_segment_of_its_field(
    values: list[str], known: list[str], cap: int
) -> None:
    before = [f"c={value}" for value in known]
    found = caps(values, before, cap)
    assert sorted(row for rows in found.values() for row in rows) == list(range(len(values)))
    fresh = found.keys() - set(before) - {"c=_other"}
    assert len(fresh) <= max(cap - len(before), 0)


def test_slices_do_not_count_towards_the_cap_of_a_field() -> None:
    matrix = VoteMatrix(np.empty((2, 0), np.int8), np.ones((2, 1), np.bool_), np.zeros(0))
    records = [{"c": "a"}, {"c": "b"}]
    for known in ((), ("c", "c=a")):
        found = memberships(records, ["c"], matrix, ["c"], known=known, cap=2)
        assert set(found) == {"c", "c=a", "c=b"}


def test_unhashable_and_odd_values_have_a_name() -> None:
    values = [[1], {"a": 1}, float("nan"), float("nan"), 1, True, "1", 1.0]
    assert caps(values, [], 9) == {
        "c=[1]": [0],
        "c={'a': 1}": [1],
        "c=nan": [2, 3],
        "c=1": [4, 6],
        "c=True": [5],
        "c=1.0": [7],
    }


def test_a_mask_is_made_for_what_is_kept_not_for_each_distinct_value() -> None:
    records = [{"c": f"v{n}"} for n in range(5_000)]
    found = memberships(records, ["c"], no_slices(5_000), [], known=(), cap=10)
    assert len(found) == 11
    assert int(found["c=_other"].sum()) == 4_990


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_batches_hold_together_to_the_cap(cap: int) -> None:
    known: dict[str, list[int]] = {}
    for value in "abcdef":
        known |= caps([value], list(known), cap)
    assert len(known.keys() - {"c=_other"}) == cap
