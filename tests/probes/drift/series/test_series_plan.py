"""What the detector follows, against a slow reference that looks at each record."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.strategies import matrix, outcomes
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift.series import series_plan as series
from tidegauge_probes.drift.series.series_plan import MAX_SEGMENTS
from tidegauge_probes.findings import ALL, OTHER, SeriesKey, SeriesKind
from tidegauge_probes.model import ABSTAIN, ERROR, Layout, Outcomes

CLASSES = ("A", "B", "C")
Mask = npt.NDArray[np.bool_]


def layout_of(lfs: int, labels: tuple[int, ...] = (0, 1, 2)) -> Layout:
    return Layout(tuple(f"lf{j}" for j in range(lfs)), CLASSES, (labels,) * lfs)


def share(rows: list[list[int]], j: int, k: SeriesKey) -> tuple[int, int]:
    """Count one series of one LF the slow way: x, n."""
    voting = [row for row in rows if row[j] >= 0]
    others = [[v for i, v in enumerate(row) if i != j and v >= 0] for row in voting]
    pairs = list(zip(voting, others, strict=True))
    match k.series:
        case SeriesKind.COVERAGE:
            return len(voting), sum(row[j] != ERROR for row in rows)
        case SeriesKind.OVERLAP:
            return sum(bool(rest) for _, rest in pairs), len(voting)
        case SeriesKind.CONFLICT:
            return sum(len({row[j], *rest}) > 1 for row, rest in pairs), len(voting)
        case SeriesKind.ERROR:
            return sum(row[j] == ERROR for row in rows), len(rows)
        case _:
            return sum(row[j] == CLASSES.index(k.label) for row in voting), len(voting)


def slow(
    rows: list[list[int]], key: SeriesKey, names: tuple[str, ...], every: list[list[int]]
) -> tuple[int, int]:
    """Count one series the slow way, of *rows* among *every* one: x, n."""
    if key.series is SeriesKind.BLIND_SPOT:
        known = [row for row in rows if max(row) >= 0 or ERROR not in row]
        return sum(set(row) == {ABSTAIN} for row in rows), len(known)
    if key.series is SeriesKind.SEGMENT_SHARE:
        return len(rows), len(every)  # every record has a side
    i = names.index(key.probe)
    if not key.other:
        return share(rows, i, key)
    j = names.index(key.other)
    both = [row for row in rows if row[i] >= 0 and row[j] >= 0]
    if key.series is SeriesKind.CO_VOTE:
        return len(both), sum(row[i] >= 0 for row in rows)
    return sum(row[i] == row[j] for row in both), len(both)


@given(outcomes(), st.data())
def test_each_series_is_what_a_loop_counts(votes: Outcomes, data: st.DataObject) -> None:
    n, m = votes.shape
    side = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=np.bool_)
    slice_ = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=np.bool_)
    masks = {"side=l": side, "side=r": ~side, "asks": slice_}
    pane = panes.fold(matrix(votes), 3, masks)
    layout = layout_of(m)
    # The strategy's few records hold no pair that is worth following: all are.
    every = tuple(combinations(range(m), 2))
    chosen = replace(series.plan(layout, pane, ["asks"]), pairs=every, agreements=every[1:])
    x, n_ = chosen.extract(pane)
    assert x.dtype == n_.dtype == np.int64
    keys = chosen.keys()
    assert len(set(keys)) == len(keys) == len(x) == len(n_)
    rows = {name: votes[mask].tolist() for name, mask in masks.items()} | {ALL: votes.tolist()}
    expected = [slow(rows.get(key.segment, []), key, layout.probes, rows[ALL]) for key in keys]
    assert list(zip(x.tolist(), n_.tolist(), strict=True)) == expected
    assert (x <= n_).all()


def test_a_plan_names_every_kind_in_a_fixed_order() -> None:
    votes = np.array([[0, 1]] * 26 + [[0, -1]], dtype=np.int8)
    pane = panes.fold(matrix(votes), 3, {})
    keys = [str(key) for key in series.plan(layout_of(2), pane).keys()]  # noqa: SIM118
    assert keys == [
        "blind_spot",
        *(
            f"{kind}(lf{j})"
            for kind in ("coverage", "overlap", "conflict", "error")
            for j in (0, 1)
        ),
        *(f"polarity(lf{j}, {k})" for j in (0, 1) for k in "ABC"),
        "co_vote(lf1, lf0)",
        "agreement(lf0, lf1)",
    ]


def test_polarity_is_followed_where_it_can_move() -> None:
    def labels(*possible: int) -> list[str]:
        pane = panes.empty(1, 3)
        keys = series.plan(layout_of(1, possible), pane).keys()
        return [key.label for key in keys if key.series is SeriesKind.POLARITY]

    assert labels(1) == []
    assert labels(0, 2) == ["C"], "of two classes one says it all"
    assert labels(0, 1, 2) == ["A", "B", "C"]


def segmented(sizes: dict[str, int]) -> PaneCounts:
    """Count records of one voting LF; each segment holds its own."""
    total = sum(sizes.values())
    votes = np.zeros((total, 1), dtype=np.int8)
    ends = np.cumsum(list(sizes.values()))
    rows = np.arange(total)
    masks = {
        name: (rows < end) & (rows >= end - size)
        for (name, size), end in zip(sizes.items(), ends, strict=True)
    }
    return panes.fold(matrix(votes), 3, masks)


def test_values_beyond_the_cap_are_counted_as_other() -> None:
    sizes = {f"city={i:02}": 100 - i for i in range(MAX_SEGMENTS + 5)} | {"kind=a": 1}
    pane = segmented(sizes)
    chosen = series.plan(layout_of(1), pane, ["slice"])
    largest = [f"city={i:02}" for i in range(MAX_SEGMENTS)]
    rest = f"city={OTHER}"
    assert chosen.segments == (ALL, "slice", *largest, rest, "kind=a", f"kind={OTHER}")
    folded = series.fold_segments(pane.segments, chosen.segments)
    of = partial(coverage, chosen)
    assert of(pane, rest) == sum(sizes[f"city={MAX_SEGMENTS + i:02}"] for i in range(5))
    assert of(pane, "city=07") == 93
    assert of(pane, "slice") == of(pane, f"kind={OTHER}") == 0
    assert folded[ALL].totals[0] == pane.records
    # A later window brings a value that the baseline never saw, and its own `_other`.
    later = segmented({"city=new": 3, rest: 2, "city=00": 4})
    assert of(later, rest) == 5
    assert of(later, "city=00") == 4


def coverage(chosen: series.SeriesPlan, pane: PaneCounts, segment: str) -> int:
    x, _ = chosen.extract(pane)
    return int(x[chosen.keys().index(SeriesKey(SeriesKind.COVERAGE, segment, "lf0"))])


def test_of_equal_segments_the_first_by_name_are_kept() -> None:
    pane = segmented({f"city={i:02}": 1 for i in reversed(range(MAX_SEGMENTS + 1))})
    kept = series.plan(layout_of(1), pane).segments
    assert f"city={MAX_SEGMENTS:02}" not in kept
    assert "city=00" in kept


def test_one_lf_has_no_pairs() -> None:
    pane = panes.fold(matrix(np.zeros((3, 1), dtype=np.int8)), 3, {})
    chosen = series.plan(layout_of(1), pane)
    assert chosen.pairs == ()
    assert len(chosen.extract(pane)[0]) == len(chosen.keys())


def test_keys_have_short_names() -> None:
    assert str(SeriesKey(SeriesKind.BLIND_SPOT, "party=D")) == "blind_spot[party=D]"
    assert str(SeriesKey(SeriesKind.COVERAGE, probe="check_out")) == "coverage(check_out)"
    assert str(SeriesKey(SeriesKind.CO_VOTE, probe="a", other="b")) == "co_vote(a, b)"
