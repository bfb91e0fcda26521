"""LFs in the styles of Snorkel's tutorials vote as under Snorkel's appliers, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.parity.conftest import TUTORIALS, Suite, points
from tests.parity.tutorials import spam
from tests.parity.tutorials.kit import OURS, snorkels
from tests.snorkel_stub import Snorkel
from tidegauge_probes import ABSTAIN, ERROR, ProbeSet, engine
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings
from tidegauge_probes.model import VoteMatrix


def run(lfs: list[Any], suite: Suite, **settings: Any) -> VoteMatrix:
    return engine.run(ProbeSet.of(lfs, classes=suite.classes), suite.records, **settings)


def assert_equal(found: VoteMatrix, suite: Suite) -> None:
    differing = (found.outcomes != suite.votes).sum(axis=0)
    assert {lf.name: n for lf, n in zip(suite.lfs, differing, strict=True) if n} == {}
    assert not found.faults


def test_there_are_enough_lfs_and_each_tells_something(suites: Callable[[str], Suite]) -> None:
    every = [suites(name) for name in TUTORIALS]
    assert sum(len(suite.lfs) for suite in every) >= 50
    for suite in every:
        voted = (suite.votes >= 0).mean(axis=0)
        silent = [lf.name for lf, v in zip(suite.lfs, voted, strict=True) if not 0 < v < 1]
        assert silent == []
        assert set(np.unique(suite.votes)) == set(range(-1, len(suite.classes)))


def test_snorkels_objects_run_unchanged(suite: Suite) -> None:
    assert_equal(run(suite.lfs, suite), suite)


def test_the_same_code_with_our_decorators(suite: Suite) -> None:
    ours = suite.write(OURS)
    assert {type(lf).__module__.partition(".")[0] for lf in ours}.isdisjoint({"snorkel"})
    assert_equal(run(ours, suite), suite)


@pytest.mark.parametrize("own", [False, True], ids=["snorkel", "tidegauge"])
def test_lifted(suite: Suite, *, own: bool) -> None:
    lfs = suite.write(OURS) if own else suite.lfs
    ended: list[str] = []
    some = ProbeSet.of(lfs, classes=suite.classes)
    lifting = Lifting(some, readings(some), fewest=1, ended=lambda *why: ended.append(str(why)))
    before = set(lifting.lifted)
    for name in ("checked", "not checked"):
        assert_equal(run(lfs, suite, lifting=lifting, name=name), suite)
    assert ended == []
    assert set(lifting.lifted) == before


def test_in_small_batches(suite: Suite) -> None:
    probe_set = ProbeSet.of(suite.lfs, classes=suite.classes)

    def batches() -> Iterator[Any]:
        for start in range(0, len(suite.records), 97):
            yield engine.run(probe_set, suite.records[start : start + 97]).outcomes

    assert (np.concatenate(list(batches())) == suite.votes).all()


def test_under_the_pandas_applier(suite: Suite, snorkel: Snorkel) -> None:
    # A Series forgets fields that a preprocessor sets as soon as the next one copies it, so only
    # LFs on plain fields mean the same there.
    plain = [place for place, lf in enumerate(suite.lfs) if not lf._pre]
    assert plain
    frame = pd.DataFrame(suite.records, dtype=object)[:200]
    lfs = [suite.lfs[place] for place in plain]
    theirs = snorkel.PandasLFApplier(lfs).apply(frame, progress_bar=False)
    found = engine.run(ProbeSet.of(lfs, classes=suite.classes), suite.records[:200])
    assert (found.outcomes == theirs).all()


# -- slicing functions ------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["snorkel", "tidegauge"])
def test_slicing_functions(snorkel: Snorkel, *, own: bool) -> None:
    records = spam.records(seed=9, count=800)
    theirs = spam.slices(snorkels(snorkel))
    expected = snorkel.slicing.SFApplier(theirs).apply(points(records), progress_bar=False)
    probe_set = ProbeSet.of(
        spam.lfs(OURS)[:1], classes=spam.CLASSES, slices=spam.slices(OURS) if own else theirs
    )
    segments = engine.run(probe_set, records).segments
    for column, name in enumerate(s.name for s in theirs):
        assert segments[:, column].tolist() == expected[name].astype(bool).tolist()
        assert 0 < segments[:, column].mean() < 1


# -- memoisation ------------------------------------------------------------------------------


def chained(kit: Any, calls: list[Any], **memoized: Any) -> list[Any]:
    """Two LFs whose preprocessor has a memoised one before it."""

    @kit.preprocessor(**memoized)
    def first(x: Any) -> Any:
        calls.append(x.text)
        x.first = x.text.upper()
        return x

    @kit.preprocessor(pre=[first])
    def second(x: Any) -> Any:
        x.second = x.first + "!"
        return x

    @kit.labeling_function(pre=[second])
    def a(x: Any) -> int:
        return 1 if x.second == "A!" else ABSTAIN

    @kit.labeling_function(pre=[second])
    def b(x: Any) -> int:
        return 1 if x.second == "B!" else ABSTAIN

    return [a, b]


KEYS = [{}, {"memoize": True}, {"memoize": True, "memoize_key": lambda x: x.text}]


@pytest.mark.parametrize("memoized", KEYS, ids=["no", "yes", "key"])
@pytest.mark.parametrize("own", [False, True], ids=["snorkel", "tidegauge"])
def test_a_chain_runs_once_per_record_whoever_shares_it(
    snorkel: Snorkel, memoized: dict[str, Any], *, own: bool
) -> None:
    calls: list[Any] = []
    lfs = chained(OURS if own else snorkels(snorkel), calls, **memoized)
    probe_set = ProbeSet.of(lfs, cardinality=2)
    for _ in range(2):
        found = engine.run(probe_set, [{"text": "a"}, {"text": "b"}])
        assert found.outcomes.tolist() == [[1, ABSTAIN], [ABSTAIN, 1]]
    assert calls == ["a", "b", "a", "b"], "once per record and batch; then forgotten"


def test_nested_caches_of_snorkel_are_emptied_too(snorkel: Snorkel) -> None:
    lfs = chained(snorkels(snorkel), [], memoize=True)
    engine.run(ProbeSet.of(lfs, cardinality=2), [{"text": "a"}])
    (first,) = lfs[0]._pre[0]._pre
    assert first.memoize
    assert first._cache == {}


def test_a_memoize_key_that_mistakes_records_misleads_snorkel_alone(snorkel: Snorkel) -> None:
    """Snorkel hands an LF another record that has the same key; our own decorators cannot."""

    def write(kit: Any) -> list[Any]:
        @kit.preprocessor(memoize=True, memoize_key=lambda x: x.user)
        def shout(x: Any) -> Any:
            x.loud = x.text.upper()
            return x

        @kit.labeling_function(pre=[shout])
        def is_b(x: Any) -> int:
            return int(x.loud == "B")

        return [is_b]

    records = [{"user": 1, "text": "a"}, {"user": 1, "text": "b"}]
    theirs = write(snorkels(snorkel))
    expected = snorkel.LFApplier(theirs).apply(points(records), progress_bar=False)
    theirs[0]._pre[0].reset_cache()
    assert expected[:, 0].tolist() == [0, 0]
    for lfs, votes in ((theirs, [0, 0]), (write(OURS), [0, 1])):
        found = engine.run(ProbeSet.of(lfs, cardinality=2), records)
        assert found.outcomes[:, 0].tolist() == votes


# -- where we differ on purpose ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "theirs"), [(1.7, 1), (-5, ABSTAIN), (True, 1), (np.int64(0), 0)], ids=str
)
def test_what_snorkel_makes_of_odd_votes(snorkel: Snorkel, returned: Any, theirs: int) -> None:
    lf = snorkel.LabelingFunction("odd", lambda _: returned)
    applied = snorkel.LFApplier([lf]).apply([SimpleNamespace(n=1)], progress_bar=False)
    assert applied.tolist() == [[theirs]]
    (ours,) = engine.run(ProbeSet.of([lf], cardinality=2), [{"n": 1}]).outcomes[:, 0].tolist()
    assert ours == (ERROR if returned in {1.7, -5} else theirs)


def test_a_fault_is_an_abstain_for_snorkel_and_an_error_here(snorkel: Snorkel) -> None:
    lf = snorkel.LabelingFunction("fails", lambda x: 1 // x.n)
    records = [{"n": 1}, {"n": 0}, {"n": 1}]
    theirs, meta = snorkel.LFApplier([lf]).apply(
        points(records), progress_bar=False, fault_tolerant=True, return_meta=True
    )
    found = engine.run(ProbeSet.of([lf], cardinality=2), records)
    assert theirs[:, 0].tolist() == [1, ABSTAIN, 1]
    assert meta.faults == {"fails": 1}
    assert found.outcomes[:, 0].tolist() == [1, ERROR, 1]
    assert (found.votes == theirs).all(), "shown as Snorkel shows it"
    assert [fault.type for fault in found.faults] == ["ZeroDivisionError"]
