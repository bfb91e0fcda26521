from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes import (
    ABSTAIN,
    ERROR,
    LabelingFunction,
    Preprocessor,
    ProbeError,
    ProbeSet,
    SlicingFunction,
    engine,
    labeling_function,
    preprocessor,
    slicing_function,
)
from tidegauge_probes.columns.batch import AT_ONCE
from tidegauge_probes.counts import panes
from tidegauge_probes.labeling.templates import TemplateSpec
from tidegauge_probes.model import VoteMatrix

RECORDS: list[dict[str, Any]] = [
    {"text": "a", "n": 0},
    {"text": "b", "n": 1},
    {"text": "c", "n": 2},
]


def lf(f: Callable[..., Any], name: str = "lf", **settings: Any) -> LabelingFunction:
    return LabelingFunction(name, f, **settings)


def run(*lfs: Any, cardinality: int = 3, records: Any = RECORDS, slices: Any = ()) -> VoteMatrix:
    return engine.run(ProbeSet.of(lfs, cardinality=cardinality, slices=slices), records)


class Label(IntEnum):
    HAM = 0
    SPAM = 1


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


class BadIndex:
    def __index__(self) -> int:
        raise ValueError


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise KeyError


# -- what counts as a vote --------------------------------------------------------------------

VOTES = [
    (0, 0),
    (2, 2),
    (-1, ABSTAIN),
    (True, 1),
    (False, 0),
    (np.True_, 1),
    (np.int64(2), 2),
    (np.int8(-1), ABSTAIN),
    (np.uint8(1), 1),
    (Label.SPAM, 1),
]
NOT_VOTES = [
    3,
    7,
    -2,
    -5,
    127,
    128,
    254,
    255,
    256,
    2**63,
    10**5000,
    -(10**30),
    np.int64(-2),
    np.uint64(2**64 - 1),
    None,
    1.0,
    float("nan"),
    np.float64(1),
    "1",
    "SPAM",
    b"1",
    [1],
    (),
    np.array([1]),
    Unshowable(),
    BadIndex(),
]


@pytest.mark.parametrize("beside", [0, np.int64(0)], ids=["fast", "checked"])
@pytest.mark.parametrize(("returned", "vote"), VOTES)
def test_ints_and_bools_are_votes(returned: Any, vote: int, beside: Any) -> None:
    matrix = run(lf(lambda x: returned if x.n else beside))
    assert matrix.outcomes[:, 0].tolist() == [0, vote, vote]
    assert not matrix.faults


@pytest.mark.parametrize("returned", NOT_VOTES, ids=lambda v: type(v).__name__)
def test_anything_else_is_an_error_never_an_abstain(returned: Any) -> None:
    matrix = run(lf(lambda x: returned if x.n == 1 else ABSTAIN))
    assert matrix.outcomes[:, 0].tolist() == [ABSTAIN, ERROR, ABSTAIN]
    (fault,) = matrix.faults
    assert (fault.probe, fault.row, fault.type) == (0, 1, "invalid_vote")
    assert fault.message.startswith("returned ")
    assert len(fault.message) <= 300


def test_an_invalid_vote_says_what_was_returned_and_what_is_valid() -> None:
    (fault, *_) = run(lf(lambda _: "SPAM")).faults
    assert fault.message == "returned 'SPAM', not a class index in -1…2"


@given(st.lists(st.integers(-(2**70), 2**70) | st.integers(-3, 4), min_size=1), st.integers(2, 5))
def test_every_int_is_a_vote_or_an_error(returned: list[int], classes: int) -> None:
    records = [{"vote": value} for value in returned]
    matrix = run(lf(lambda x: x.vote), cardinality=classes, records=records)
    expected = [v if -1 <= v < classes else ERROR for v in returned]
    assert matrix.outcomes[:, 0].tolist() == expected
    assert sorted(f.row for f in matrix.faults) == [
        row for row, vote in enumerate(expected) if vote == ERROR
    ]


# -- failures ---------------------------------------------------------------------------------


def test_a_failing_lf_fails_alone_and_where_it_fails() -> None:
    def fails(x: Any) -> int:
        if x.n == 1:
            raise LookupError("no such word")
        return 2

    matrix = run(lf(fails), lf(lambda x: x.n, "other"))
    assert matrix.outcomes.tolist() == [[2, 0], [ERROR, 1], [2, 2]]
    (fault,) = matrix.faults
    assert (fault.probe, fault.row, fault.type) == (0, 1, "LookupError")
    assert fault.message == "no such word"


def test_a_missing_field_is_an_error_named_by_field() -> None:
    matrix = run(lf(lambda x: x.body), lf(lambda x: x["body"], "item"))
    assert (matrix.outcomes == ERROR).all()
    types = {(f.probe, f.type) for f in matrix.faults}
    assert types == {(0, "AttributeError"), (1, "KeyError")}
    assert all("body" in f.message for f in matrix.faults)


def test_the_view_answers_like_an_object_and_like_a_mapping() -> None:
    def asks(x: Any) -> int:
        return int(x.text == x["text"] == x.get("text") and "n" in x and x.get("no", 1) == 1)

    assert run(lf(asks)).outcomes[:, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("error", [UnshowableError(), ValueError("\ud800"), ValueError("x" * 9999)])
def test_any_exception_can_be_counted_and_stored(error: Exception) -> None:
    def fails(_: Any) -> int:
        raise error

    matrix = run(lf(fails))
    assert (matrix.outcomes == ERROR).all()
    pane = panes.fold(matrix, 3, {})
    assert panes.decode(pane.encode()) == pane
    assert pane.all.errors.tolist() == [3]
    assert all(len(f.message) <= 1300 for f in matrix.faults)


def test_errors_are_counted_apart_from_abstains() -> None:
    pane = panes.fold(run(lf(lambda x: None if x.n else ABSTAIN)), 3, {})
    assert pane.all.outcomes.tolist() == [[0, 0, 0, 1, 2]]
    assert dict(pane.faults)[0, "invalid_vote"][0] == 2


def test_snorkels_l_shows_errors_as_abstains() -> None:
    matrix = run(lf(lambda x: x.n or None))
    assert matrix.outcomes[:, 0].tolist() == [ERROR, 1, 2]
    assert matrix.votes[:, 0].tolist() == [ABSTAIN, 1, 2]


@given(st.integers(0, 3), st.integers(-1, 1))
def test_python_lfs_look_at_a_large_batch_in_parts_as_at_small_ones(parts: int, more: int) -> None:
    calls: Counter[int] = Counter()

    @preprocessor()
    def counted(x: Any) -> Any:
        calls[x.n] += 1
        x.odd = x.n % 2
        return x

    def some_fail(x: Any) -> int:
        return int(x.odd) if x.n % 7 else x.nothing

    template = TemplateSpec.model_validate(
        {"name": "few", "label": 0, "numeric": {"below": 9, "field": "n"}}
    )
    large = [{"n": n} for n in range(max(parts * AT_ONCE + more, 0))]
    probe_set = ProbeSet.of(
        [lf(some_fail, pre=[counted]), template],
        cardinality=2,
        slices=[SlicingFunction("odd", lambda x: x.odd, pre=[counted])],
    )
    entered: list[tuple[int, float]] = []
    matrix = engine.run(probe_set, large, entering=lambda *told: entered.append(told))
    small = [engine.run(probe_set, large[start : start + 11]) for start in range(0, len(large), 11)]
    assert matrix.outcomes.tolist() == [row for one in small for row in one.outcomes.tolist()]
    assert matrix.segments.tolist() == [row for one in small for row in one.segments.tolist()]
    assert [f.row for f in matrix.faults] == list(range(0, len(large), 7))
    assert set(calls.values()) <= {2}, "once a record, in the large batch and in the small ones"
    told = Counter(column for column, _ in entered)
    assert told == {0: max(-(-len(large) // AT_ONCE), 1), 1: 1, 2: told[0]}
    spent = [seconds for column, seconds in entered if column == 0]
    assert spent[0] == 0
    assert spent == sorted(set(spent)), "time in one LF adds up over the batch"


# -- preprocessors ----------------------------------------------------------------------------


def test_a_chain_runs_once_per_record_however_many_lfs_share_it() -> None:
    calls: Counter[str] = Counter()

    @preprocessor()
    def counted(x: Any) -> Any:
        calls[x.text] += 1
        x.seen = x.text
        return x

    lfs = [lf(lambda x: x.seen == "b", f"lf{j}", pre=[counted]) for j in range(5)]
    piece = SlicingFunction("slice", lambda x: x.seen == "b", pre=[counted])
    matrix = run(*lfs, slices=[piece])
    assert matrix.outcomes.tolist() == [[0] * 5, [1] * 5, [0] * 5]
    assert matrix.segments[:, 0].tolist() == [False, True, False]
    assert calls == {"a": 1, "b": 1, "c": 1}
    run(*lfs)
    assert calls == {"a": 2, "b": 2, "c": 2}, "nothing is kept from batch to batch"


def test_what_a_preprocessor_changes_stays_in_its_chain() -> None:
    @preprocessor()
    def shouted(x: Any) -> Any:
        x.text = x.text.upper()
        return x

    record = {"text": "a"}
    matrix = run(
        lf(lambda x: x.text == "A", "shouted", pre=[shouted]),
        lf(lambda x: x.text == "a", "plain"),
        records=[record],
    )
    assert matrix.outcomes.tolist() == [[1, 1]]
    assert record == {"text": "a"}


class Counting(Preprocessor):
    def run(self, text: str) -> dict[str, int]:  # type: ignore[override]
        return {"size": len(text)}


def test_preprocessors_nest_and_rename() -> None:
    @preprocessor(name="twice")
    def doubled(x: Any) -> Any:
        x.text *= 2
        return x

    size = Counting("size", mapped_field_names={"size": "letters"}, pre=[doubled])
    matrix = run(lf(lambda x: x.letters, pre=[size]), lf(lambda x: len(x.text), "plain"))
    assert matrix.outcomes.tolist() == [[2, 1]] * 3


def _raises(_: Any) -> Any:
    raise OSError("model gone")


@pytest.mark.parametrize(
    ("f", "kind", "says"),
    [(_raises, "OSError", "model gone"), (lambda _: None, "ValueError", "'broken' returned None")],
)
def test_a_failing_preprocessor_fails_each_lf_that_needs_it(
    f: Callable[[Any], Any], kind: str, says: str
) -> None:
    broken = preprocessor(name="broken")(f)
    piece = SlicingFunction("slice", lambda _: True, pre=[broken])
    matrix = run(
        lf(lambda _: 1, "a", pre=[broken]),
        lf(lambda _: 1, "b"),
        lf(lambda _: 1, "c", pre=[preprocessor(name="fine")(lambda x: x), broken]),
        slices=[piece],
    )
    assert matrix.outcomes.tolist() == [[ERROR, 1, ERROR]] * 3
    assert not matrix.segments.any()
    assert Counter(f.probe for f in matrix.faults) == {0: 3, 2: 3, 3: 3}
    assert all(f.type == kind and says in f.message for f in matrix.faults)


def test_called_by_itself_an_lf_runs_its_preprocessors_too() -> None:
    nothing = preprocessor(name="nothing")(lambda _: None)
    with pytest.raises(ValueError, match=r"nothing.*of LF 'lf' returned None"):
        lf(lambda _: 1, pre=[nothing])(object())


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x: Any) -> Any:
        return x


def test_a_preprocessor_need_not_be_hashable() -> None:
    assert run(lf(lambda x: x.n, pre=[Unhashable()])).outcomes[:, 0].tolist() == [0, 1, 2]


# -- shapes -----------------------------------------------------------------------------------


def test_empty_in_empty_out() -> None:
    matrix = run(lf(lambda x: x.n), slices=[SlicingFunction("s", lambda _: True)], records=[])
    assert matrix.outcomes.shape == matrix.segments.shape == (0, 1)
    assert matrix.outcomes.dtype == np.int8
    assert matrix.segments.dtype == np.bool_
    assert not matrix.faults


def test_columns_stand_in_the_order_of_the_probe_set() -> None:
    spec = TemplateSpec.model_validate({"name": "t", "label": 2, "missing": {"field": "gone"}})
    matrix = run(lf(lambda x: x.n), spec, lambda_named())
    assert matrix.outcomes.tolist() == [[0, 2, 1], [1, 2, 1], [2, 2, 1]]
    assert matrix.seconds.shape == (3,)
    assert (matrix.seconds > 0).all()


def lambda_named() -> Callable[[Any], int]:
    def plain(_: Any) -> int:
        return 1

    return plain


# -- slicing functions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "taken", "fails"),
    [
        (True, True, False),
        (1, True, False),
        (np.True_, True, False),
        (False, False, False),
        (0, False, False),
        (-1, False, False),
        (None, False, True),
        ("yes", False, True),
        (1.0, False, True),
        (7, False, True),
    ],
)
def test_a_slice_takes_true_and_1_and_names_its_failures(
    returned: Any, *, taken: bool, fails: bool
) -> None:
    @slicing_function()
    def piece(_: Any) -> Any:
        return returned

    matrix = run(lf(lambda x: x.n), slices=[piece])
    assert matrix.segments[:, 0].tolist() == [taken] * 3
    assert [(f.probe, f.type) for f in matrix.faults] == [(1, "invalid_vote")] * 3 * fails
    assert matrix.outcomes[:, 0].tolist() == [0, 1, 2]


def test_a_slice_that_raises_takes_none_and_is_named() -> None:
    piece = SlicingFunction("s", lambda x: x.gone if x.n == 1 else True)
    matrix = run(lf(lambda x: x.n), slices=[piece])
    assert matrix.segments[:, 0].tolist() == [True, False, True]
    assert [(f.probe, f.row, f.type) for f in matrix.faults] == [(1, 1, "AttributeError")]


@pytest.mark.parametrize("name", ["_all", "channel=mail"])
def test_a_slice_cannot_take_the_name_of_another_segment(name: str) -> None:
    with pytest.raises(ProbeError, match="are reserved for other segments: rename it"):
        ProbeSet.of([lf(lambda x: x.n)], slices=[SlicingFunction(name, lambda _: True)])


# -- what cannot be a ProbeSet ----------------------------------------------------------------


def test_what_could_not_be_counted_or_told_apart_is_refused() -> None:
    one = lf(lambda _: 1)
    with pytest.raises(ProbeError, match="at least one labeling function"):
        ProbeSet.of([])
    with pytest.raises(ProbeError, match="duplicate labeling function 'lf'"):
        ProbeSet.of([one, one])
    with pytest.raises(ProbeError, match="duplicate slicing function 's'"):
        ProbeSet.of([one], slices=[SlicingFunction("s", lambda _: True)] * 2)
    with pytest.raises(ProbeError, match="2 to 120 class names, not 1"):
        ProbeSet.of([one], cardinality=1)
    with pytest.raises(ProbeError, match="2 to 120 class names, not 121"):
        ProbeSet.of([one], cardinality=121)
    with pytest.raises(ProbeError, match="is not callable"):
        ProbeSet.of([7])
    with pytest.raises(ProbeError, match="has no name"):
        ProbeSet.of([Unhashable()])
    with pytest.raises(ProbeError, match=r"missing its parentheses: write @labeling_function\(\)"):
        labeling_function(lambda _: 1)  # type: ignore[arg-type]
    with pytest.raises(ProbeError, match=r"write @preprocessor\(\)"):
        preprocessor(lambda x: x)  # type: ignore[arg-type]


def test_120_classes_fit_beside_the_two_codes() -> None:
    votes = run(lf(lambda x: x.vote), cardinality=120, records=[{"vote": v} for v in (119, 120)])
    assert votes.outcomes[:, 0].tolist() == [119, ERROR]


def test_a_subclass_with_its_own_call_is_called_whole() -> None:
    class Own(LabelingFunction):
        def __call__(self, x: Any) -> int:
            return 1 + super().__call__(x)

    assert run(Own("own", lambda _: 1)).outcomes[:, 0].tolist() == [2, 2, 2]


def test_each_failure_stands_for_its_own_record() -> None:
    def fails(x: Any) -> int:
        if x.n == 1:
            raise StopIteration
        if x.n == 2:
            raise ValueError("two")
        return 1

    records = [{"n": n % 4} for n in range(12)]
    matrix = run(lf(fails), records=records)
    assert matrix.outcomes[:, 0].tolist() == [1, ERROR, ERROR, 1] * 3
    assert [(f.row, f.type, f.message) for f in matrix.faults] == [
        (row, *("StopIteration", "")) if row % 4 == 1 else (row, "ValueError", "two")
        for row in (1, 2, 5, 6, 9, 10)
    ]


class Own(BaseException):
    pass


@pytest.mark.parametrize(
    "deed",
    [SystemExit(0), asyncio.CancelledError(), GeneratorExit(), Own("x"), KeyboardInterrupt()],
    ids=lambda deed: type(deed).__name__,
)
@pytest.mark.parametrize("where", ["lf", "slice", "preprocessor"])
def test_whatever_is_raised_is_an_error_of_that_lf_on_that_record(
    deed: BaseException, where: str
) -> None:
    def breaks(x: Any) -> Any:
        if x.n == 1:
            raise deed
        return 1

    @preprocessor()
    def prepare(x: Any) -> Any:
        breaks(x)
        return x

    pre = [prepare] if where == "preprocessor" else []
    vote = lf(breaks if where == "lf" else lambda _: 1, "vote", pre=pre)
    piece = SlicingFunction("piece", breaks if where == "slice" else lambda _: 1)
    found: list[VoteMatrix] = []
    records = [{"n": n} for n in range(3)]
    # In a thread, as in a worker: a KeyboardInterrupt there is the LF's own.
    thread = threading.Thread(
        target=lambda: found.append(run(vote, records=records, slices=[piece]))
    )
    thread.start()
    thread.join()
    [matrix] = found
    failed = where != "slice"
    assert matrix.outcomes[:, 0].tolist() == [1, ERROR if failed else 1, 1]
    assert matrix.segments[:, 0].tolist() == [True, where != "slice", True]
    assert [(f.row, f.type) for f in matrix.faults] == [(1, type(deed).__name__)]


def test_ctrl_c_ends_a_run_in_the_main_thread() -> None:
    def interrupted(x: Any) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return int(x.n)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(lf(interrupted), records=[{"n": 1}] * 100)
    finally:
        signal.signal(signal.SIGINT, before)
