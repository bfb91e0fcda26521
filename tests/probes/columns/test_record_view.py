"""What an LF writes to a record stays with that LF."""

from __future__ import annotations

import copy
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.snorkel_stub import Snorkel
from tidegauge_probes import LabelingFunction, ProbeSet, SlicingFunction, engine, preprocessor
from tidegauge_probes.columns.batch import AT_ONCE
from tidegauge_probes.columns.record_view import Log, RecordView, views_of
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings
from tidegauge_probes.model import ABSTAIN, ERROR

RECORD: dict[str, Any] = {
    "text": "Hello",
    "n": 1,
    "tags": ["b", "a"],
    "meta": {"region": "us", "path": ["x", {"y": 1}]},
    "pair": ([1], 2),
    "vector": np.array([3.0, 4.0]),
    "queue": deque([1]),
    "raw": bytearray(b"raw"),
    "at": datetime(2026, 1, 1, tzinfo=UTC),
}


def _seen(x: Any) -> str:
    names = sorted(RECORD)
    return repr([(name, getattr(x, name, "gone")) for name in names] + [sorted(vars(x))])


def _cycle(x: Any) -> None:
    x.meta["self"] = x.meta


def _surrogate(x: Any) -> None:
    x.text = x.meta["region"] = "\ud800"


WRITES: dict[str, Callable[[Any], Any]] = {
    "sorts a list": lambda x: x.tags.sort(),
    "sorts a list as an item": lambda x: x["tags"].sort(),
    "sorts a list by get": lambda x: x.get("tags").sort(),
    "writes to a dict": lambda x: x.meta.update(region=x.meta["region"].upper()),
    "writes deep inside": lambda x: x.meta["path"][1].update(y=2),
    "writes to a list in a tuple": lambda x: x.pair[0].append(2),
    "scales an array": lambda x: x.vector.__itruediv__(5.0),
    "empties a deque": lambda x: x.queue.clear(),
    "writes to bytes": lambda x: x.raw.extend(b"!"),
    "assigns": lambda x: setattr(x, "text", "Bye"),
    "assigns an equal value": lambda x: setattr(x, "n", True),
    "assigns a new field": lambda x: setattr(x, "new", []),
    "assigns with +=": lambda x: x.__setattr__("tags", x.tags.__iadd__(["c"])),
    "writes to __dict__": lambda x: x.__dict__.update(text="Bye", new=1),
    "writes to vars": lambda x: vars(x)["tags"].append("c"),
    "deletes": lambda x: x.__delattr__("text"),
    "deletes a list": lambda x: x.__delattr__("tags"),
    "deletes a list that it has read": lambda x: (x.tags, x.__delattr__("tags")),
    "empties the record": lambda x: vars(x).clear(),
    "writes to a shallow copy": lambda x: copy.copy(x).tags.append("c"),
    "makes it hold itself": _cycle,
    "writes a lone surrogate": _surrogate,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_others_see_the_record_as_it_came(write: Callable[[Any], Any]) -> None:
    seen: dict[str, list[str]] = {"before": [], "after": [], "slice": []}

    def look(ref: str) -> Callable[[Any], int]:
        def looks(x: Any) -> int:
            seen[ref].append(_seen(x))
            return 1

        return looks

    def writes(x: Any) -> int:
        write(x)
        return 1

    records = [copy.deepcopy(RECORD) for _ in range(2)]
    lfs = [
        LabelingFunction("before", look("before")),
        LabelingFunction("writes", writes),
        LabelingFunction("after", look("after")),
    ]
    slices = [SlicingFunction("writes_too", writes), SlicingFunction("slice", look("slice"))]
    matrix = engine.run(ProbeSet.of(lfs, cardinality=2, slices=slices), records)
    assert not matrix.faults
    expected = _seen(SimpleNamespace(**RECORD))
    assert set(seen["before"]) == set(seen["after"]) == set(seen["slice"]) == {expected}
    assert {_seen(SimpleNamespace(**record)) for record in records} == {expected}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_lf_sees_what_it_wrote_itself(write: Callable[[Any], Any]) -> None:
    plain = RecordView(**copy.deepcopy(RECORD))
    [view] = views_of([copy.deepcopy(RECORD)], Log())
    for x in (plain, view):
        write(x)
        if "gone" not in _seen(x):
            assert x.tags is x.tags is vars(x)["tags"]
    assert repr(view).partition("(")[2] == repr(plain).partition("(")[2]
    assert _seen(plain) == _seen(view)


def test_writes_are_undone_in_every_part_of_a_large_batch() -> None:
    def pops(x: Any) -> int:
        x.seen = x.tags.pop()
        return len(x.tags)

    records = [{"tags": [1, 2]} for _ in range(AT_ONCE + 1)]
    lfs = [LabelingFunction(f"pops{j}", pops) for j in range(3)]
    matrix = engine.run(ProbeSet.of(lfs, cardinality=2), records)
    assert (matrix.outcomes == 1).all()
    assert all(record == {"tags": [1, 2]} for record in records)


def test_an_lf_does_not_see_what_it_wrote_when_it_runs_again() -> None:
    def grows(x: Any) -> int:
        x.tags.append("c")
        return len(x.tags)

    records = [{"text": "k", "tags": ["a"]}] * 3
    some = ProbeSet.of([LabelingFunction("grows", grows)], cardinality=9)
    lifting = Lifting(some, readings(some), fewest=1, checked=1)
    outcomes = engine.run(some, records, lifting=lifting).outcomes
    assert outcomes[:, 0].tolist() == [2, 2, 2]
    assert records[0] == {"text": "k", "tags": ["a"]}


# -- a view is as good as a namespace ---------------------------------------------------------

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "get", "self"]), _VALUES))
def test_a_view_is_like_a_namespace(fields: dict[str, Any]) -> None:
    def view() -> Any:
        return views_of([fields], Log())[0]

    assert vars(view()) == fields
    assert view() == SimpleNamespace(**fields) == view()
    assert not (view() != view())  # noqa: SIM202  (its own method)
    assert view() != SimpleNamespace(**fields, more=1)
    assert pickle.loads(pickle.dumps(view())) == view()  # noqa: S301  (our own bytes)
    assert copy.deepcopy(view()) == copy.copy(view()) == view()
    assert list(vars(view())) == list(fields)
    assert repr(view()).partition("(")[2] == repr(SimpleNamespace(**fields)).partition("(")[2]
    assert {name for name in ("a", "b", "get", "self") if name in view()} == set(fields)
    assert set(fields) <= set(dir(view()))
    x = view()
    assert {name: x[name] for name in fields} == fields
    assert all(x[name] is getattr(x, name) for name in fields)


@pytest.mark.parametrize("record", [{"text": "a"}, {"text": "a", "tags": []}])
def test_what_is_not_there_fails_as_in_a_namespace(record: dict[str, Any]) -> None:
    [x] = views_of([record], Log())
    with pytest.raises(AttributeError, match="'RecordView' object has no attribute 'body'"):
        _ = x.body
    with pytest.raises(AttributeError):
        del x.body
    with pytest.raises(KeyError, match="body"):
        x["body"]
    assert x.get("body", 7) == 7
    assert not hasattr(x, "body")
    assert "body" not in x
    assert x != record
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_a_view_that_nobody_touches_costs_no_copy() -> None:
    log = Log()
    record = {"text": "a", "tags": ["b"]}
    [x] = views_of([record], log)
    assert x.text == "a"
    assert not log.copied_in
    assert x.tags is x.tags is not record["tags"]
    assert [name for _, name in log.copied_in] == ["tags"]
    log.restore()
    assert not log.copied_in


# -- preprocessors ----------------------------------------------------------------------------


@dataclass
class Opaque:
    """Stands for what a preprocessor adds, such as spaCy's docs: shared, not copied."""

    n: int = 0


def test_lfs_after_a_preprocessor_do_not_see_each_others_writes() -> None:
    @preprocessor(memoize=True)
    def split(x: Any) -> Any:
        x.words = x.text.split()
        x.made = Opaque()
        return x

    def pops(x: Any) -> int:
        x.words.pop()
        x.text = ""
        return len(x.words)

    lfs = [LabelingFunction(f"pops{j}", pops, pre=[split]) for j in range(3)]
    lfs.append(LabelingFunction("same", lambda x: x.made.n, pre=[split]))
    records = [{"text": "a b c"}] * 2
    outcomes = engine.run(ProbeSet.of(lfs, cardinality=9), records).outcomes
    assert outcomes.tolist() == [[2, 2, 2, 0]] * 2


def test_a_plain_function_as_preprocessor_keeps_what_it_wrote() -> None:
    def in_place(x: Any) -> Any:
        x.text = x.text.upper()
        x.tags.append(x.text)
        return x

    class Wrapper:
        def __init__(self, x: Any) -> None:
            self.x = in_place(x)

    lfs = [
        LabelingFunction("pre", lambda x: x.tags == ["A"], pre=[in_place]),
        LabelingFunction("plain", lambda x: (x.text, x.tags) == ("a", [])),
        LabelingFunction("wrapped", lambda w: w.x.tags == ["A"], pre=[Wrapper]),
        LabelingFunction("again", lambda x: (x.text, x.tags) == ("A", ["A"]), pre=[in_place]),
    ]
    record: dict[str, Any] = {"text": "a", "tags": []}
    assert engine.run(ProbeSet.of(lfs, cardinality=2), [record]).outcomes.tolist() == [[1] * 4]
    assert record == {"text": "a", "tags": []}


def test_a_preprocessor_may_make_a_record_that_holds_itself() -> None:
    @preprocessor()
    def knotted(x: Any) -> Any:
        x.knot = []
        x.knot.append(x.knot)
        return x

    knot = LabelingFunction("knot", lambda x: x.knot[0] is x.knot, pre=[knotted])
    assert engine.run(ProbeSet.of([knot], cardinality=2), [{}]).outcomes.tolist() == [[1]]


# -- Snorkel ----------------------------------------------------------------------------------


def test_snorkels_lfs_that_write_vote_as_under_snorkel(snorkel: Snorkel) -> None:
    @snorkel.preprocessor(memoize=True)
    def words(x: Any) -> Any:
        x.words = x.text.split()
        return x

    @snorkel.labeling_function()
    def assigns(x: Any) -> int:
        x.low = x.text.lower()
        return 1 if "b" in x.low else ABSTAIN

    @snorkel.labeling_function(pre=[words])
    def assigns_after_a_mapper(x: Any) -> int:
        x.first = x.words[0]
        return 1 if x.first == "a" else 0

    @snorkel.labeling_function(pre=[words])
    def reads_the_mapper(x: Any) -> int:
        return len(x.words)

    @snorkel.labeling_function()
    def counts_tags(x: Any) -> int:
        x.seen = x.tags
        return len(x.seen)

    lfs = [assigns, assigns_after_a_mapper, reads_the_mapper, counts_tags]
    records = [{"text": text, "tags": list(text)} for text in ("a B", "b", "a B")]
    points = [SimpleNamespace(**copy.deepcopy(record)) for record in records]
    theirs = snorkel.LFApplier(lfs).apply(points, progress_bar=False)
    ours = engine.run(ProbeSet.of(lfs, cardinality=9), records)
    assert (ours.outcomes == theirs).all()
    assert not ours.faults


def test_an_lf_that_reads_what_another_one_wrote_fails(snorkel: Snorkel) -> None:
    """Under Snorkel its vote depends on the order of the LFs; here it is an error with a name."""

    @snorkel.labeling_function()
    def writes(x: Any) -> int:
        x.low = x.text.lower()
        return 1

    @snorkel.labeling_function()
    def reads(x: Any) -> int:
        return int("a" in x.low)

    matrix = engine.run(ProbeSet.of([writes, reads], cardinality=2), [{"text": "A"}])
    assert matrix.outcomes.tolist() == [[1, ERROR]]
    assert "no attribute 'low'" in matrix.faults[0].message
