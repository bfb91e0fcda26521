"""Lifted LFs vote as the Python they were read from, errors included, on any record."""

from __future__ import annotations

import re
import types
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.probes import lifting_fuzz, lifting_lfs
from tests.probes.lifting_lfs import LIFTED, NOT_LIFTED, SPAM, Keyword, short
from tidegauge_probes import (
    ABSTAIN,
    LabelingFunction,
    ProbeSet,
    engine,
    labeling_function,
    preprocessor,
)
from tidegauge_probes.columns.batch import AT_ONCE
from tidegauge_probes.columns.texts import ODD
from tidegauge_probes.labeling.templates import TemplateSpec
from tidegauge_probes.lifting.lifted import Python
from tidegauge_probes.lifting.lifting import Lifting
from tidegauge_probes.lifting.reader import readings
from tidegauge_probes.model import VoteMatrix

PIECES = (
    *("check", "out", "k", "prize", "Winner", "naïve", "free", "kiss", "http://a", "a", "b", " "),
    *("\n", "\0", "1", "K", *ODD, "ä", "🙂", "\ud800"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
ODDITIES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, 2.5, "", "k", b"k", [], ["k"], {}, 2**60]
)
VALUES = {
    "text": st.one_of(TEXTS, TEXTS, TEXTS, ODDITIES),
    "links": st.one_of(st.integers(-2, 8), st.floats(), ODDITIES),
    "author": st.one_of(st.sampled_from(["bob", "al", "", None]), ODDITIES),
}
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional=VALUES) | st.fixed_dictionaries(VALUES), max_size=30
)
GOOD: list[dict[str, Any]] = [
    {"text": text, "links": n % 7, "author": ("bob", "al", None, "")[n % 4]}
    for n, text in enumerate(["check it out", "k", "a prize", "Free", "", "naïve kiss"] * 6)
]


def lifting_of(some: ProbeSet, **settings: Any) -> Lifting:
    """Read the source of the LFs, and lift what is read."""
    return Lifting(some, readings(some), **settings)


def probe_set(*lfs: Any, slices: Any = ()) -> ProbeSet:
    return ProbeSet.of(lfs, cardinality=2, slices=slices)


def assert_same(one: VoteMatrix, other: VoteMatrix) -> None:
    assert one.outcomes.tolist() == other.outcomes.tolist()
    assert one.segments.tolist() == other.segments.tolist()
    by_place = [
        sorted(matrix.faults, key=lambda fault: (fault.probe, fault.row)) for matrix in (one, other)
    ]
    assert by_place[0] == by_place[1]


def unchecked(some: ProbeSet) -> Lifting:
    """Return a lifting whose first, always checked batch is behind it."""
    lifting = lifting_of(some, fewest=1, checked=0)
    assert lifting.checks("the first always is")
    return lifting


ALL = probe_set(*LIFTED, *NOT_LIFTED, slices=[short])
LIFTING = unchecked(ALL)
ALONE = [(some, unchecked(some)) for some in map(probe_set, LIFTED)]


def test_what_is_lifted_is_known() -> None:
    lifting = lifting_of(ALL, fewest=1)
    names = [probe.name for probe in (*ALL.probes, *ALL.slices)]
    lifted = {names[column] for column in lifting.lifted}
    assert lifted == {probe.name for probe in probe_set(*LIFTED).probes} | {"short"}


ANYTHING: Any = lifting_lfs
NOT_READ = {
    lifting_lfs.two_of_them: "`*'abk'` in line N is not supported",
    lifting_lfs.writes_a_name: "`global LIMIT` in line N (global) is not supported",
    lifting_lfs.calls_helper: (
        "`keyword` in line N is neither a constant nor a supported function"
    ),
    lifting_lfs.tries: "`try: …` in line N (try) is not supported",
    lifting_lfs.compares_fields: (
        "`x.links > x.score` in line N compares with something that is not a constant"
    ),
    lifting_lfs.gets: "`x.get` in line N is not a plain field of the record",
    lifting_lfs.stars: "it takes variable arguments (* or **)",
    lifting_lfs.returns_a_name: "'TECH' is a string: return the index of the class",
    lifting_lfs.returns_nothing: "None is not a valid vote: return -1 to abstain",
    lifting_lfs.returns_too_much: (
        "7 is not a valid vote: return the index of a class, or -1 to abstain"
    ),
}


@pytest.mark.parametrize("lf", NOT_READ)
def test_it_is_said_what_of_the_source_is_not_read(lf: Any) -> None:
    (why,) = readings(probe_set(lf)).values()
    assert isinstance(why, Python)
    assert re.sub(r"line \d+", "line N", why.why) == NOT_READ[lf]


def test_the_line_in_a_reason_is_that_of_the_file() -> None:
    (why,) = readings(probe_set(lifting_lfs.tries)).values()
    assert isinstance(why, Python)
    (line,) = re.findall(r"line (\d+)", why.why)
    source = Path(lifting_lfs.__file__).read_text(encoding="utf-8").splitlines()
    assert source[int(line) - 1] == "    try:"


@pytest.mark.parametrize(
    ("lf", "why"),
    [
        (len, "it is a builtin_function_or_method, not a Python function"),
        (partial(lifting_lfs.keyword, "k"), "it is a partial with positional arguments"),
        (lifting_lfs.keyword, "its parameter 'words' has no value"),
        (
            partial(ANYTHING.keyword, words=(), k=1),
            "a value is given for 'k', which is not a parameter",
        ),
    ],
)
def test_a_callable_that_cannot_be_read_says_why(lf: Any, why: str) -> None:
    (found,) = readings(probe_set(LabelingFunction("lf", lf))).values()
    assert found == Python(why)


@given(RECORDS)
@example(GOOD)
@example([])
@example([{"text": "k" * 40_000}])
def test_votes_and_faults_are_those_of_python(records: list[dict[str, Any]]) -> None:
    assert_same(engine.run(ALL, records, lifting=LIFTING), engine.run(ALL, records))
    assert len(LIFTING.lifted) == len(LIFTED) + 1


@settings(max_examples=15)
@given(RECORDS)
def test_each_alone_votes_as_among_others(records: list[dict[str, Any]]) -> None:
    for alone, lifting in ALONE:
        assert_same(engine.run(alone, records, lifting=lifting), engine.run(alone, records))
        assert list(lifting.lifted) == [0]


@pytest.mark.parametrize("seed", range(3))
def test_random_lfs_vote_and_fail_as_python_does(seed: int) -> None:
    seen, differences = lifting_fuzz.run(200, seed)
    assert differences == []
    assert seen["lifted"] > seen["programs"] / 2
    assert seen["errors"] > seen["votes"] / 50


def test_python_is_not_called_for_good_records() -> None:
    def loud(x: Any) -> int:
        return SPAM if "k" in x.text else ABSTAIN

    some = probe_set(LabelingFunction("loud", loud))
    lifting = unchecked(some)
    lifted = lifting.lifted[0]
    assert lifted.stands()
    calls: list[Any] = []

    def counting(x: Any) -> int:
        calls.append(x)
        return ABSTAIN

    object.__setattr__(some.probes[0], "f", counting)
    engine.run(some, GOOD, lifting=lifting)
    assert calls == []
    engine.run(some, [*GOOD, {"text": None}], lifting=lifting)
    assert [call.text for call in calls] == [None]


def test_templates_and_lifted_lfs_share_a_pass() -> None:
    template = TemplateSpec.model_validate(
        {"name": "template", "label": 1, "keyword": {"any": ["prize"], "whole_word": True}}
    )
    some = probe_set(template, lifting_lfs.any_word)
    assert {needle.word for needle in unchecked(some).needles["text"].columns} == {
        "prize", "Winner", "naïve",
    }  # fmt: skip
    assert_same(engine.run(some, GOOD, lifting=unchecked(some)), engine.run(some, GOOD))


# -- The check ---------------------------------------------------------------------------------


def test_the_first_difference_ends_the_lifting_of_that_lf_alone() -> None:
    some = probe_set(lifting_lfs.contains, lifting_lfs.length)
    ended: list[tuple[str, str]] = []
    lifting = lifting_of(
        some, fewest=1, checked=1, ended=lambda name, why: ended.append((name, why))
    )
    # As if the reading were wrong: the function says something else than its source.
    object.__setattr__(some.probes[0], "f", lambda _: SPAM)
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))
    assert ended == [("contains", "its votes differed")]
    assert list(lifting.lifted) == [1]
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))
    assert len(ended) == 1


def test_other_faults_are_a_difference_too() -> None:
    some = probe_set(lifting_lfs.contains)
    lifting = lifting_of(some, fewest=1, checked=1)
    before = lifting_lfs.contains._f

    def other(x: Any) -> int:
        if x.text is None:
            raise ValueError
        return int(before(x))

    records = [*GOOD, {"text": None}]
    assert_same(engine.run(some, records, lifting=lifting), engine.run(some, records))
    assert lifting.lifted
    object.__setattr__(some.probes[0], "f", other)
    assert_same(engine.run(some, records, lifting=lifting), engine.run(some, records))


def test_a_share_of_the_batches_is_checked_and_always_the_same_ones() -> None:
    lifting = [lifting_of(ALL, fewest=1, checked=0.1) for _ in range(2)]
    assert [each.checks("first") for each in lifting] == [True, True]
    names = [f"0:{n}" for n in range(4_000)]
    chosen = [[name for name in names if each.checks(name)] for each in lifting]
    assert chosen[0] == chosen[1]
    assert 300 < len(chosen[0]) < 500
    assert not any(LIFTING.checks(name) for name in names)
    every = lifting_of(probe_set(short), fewest=1, checked=1)
    assert all(every.checks(name) for name in names)


def test_a_batch_of_nothing_does_not_stand_for_the_first() -> None:
    some = probe_set(lifting_lfs.contains)
    lifting = lifting_of(some, fewest=1, checked=0)
    object.__setattr__(some.probes[0], "f", lambda _: SPAM)
    engine.run(some, [], lifting=lifting)
    engine.run(some, GOOD, lifting=lifting)
    assert not lifting.lifted


def test_a_name_that_is_bound_anew_ends_the_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    some = probe_set(lifting_lfs.number, lifting_lfs.contains)
    ended: list[str] = []
    lifting = lifting_of(some, fewest=1, checked=0, ended=lambda name, _why: ended.append(name))
    engine.run(some, GOOD, lifting=lifting)
    monkeypatch.setattr(lifting_lfs, "LIMIT", 5)
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))
    assert ended == ["number"]


def test_lists_that_change_end_the_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    keyword = Keyword(["prize"])
    some = probe_set(keyword, lifting_lfs.any_word)
    lifting = unchecked(some)
    keyword.words.append("k")
    monkeypatch.setattr(lifting_lfs, "WORDS", [*lifting_lfs.WORDS, "kiss"])
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))
    assert not lifting.lifted


def test_an_lf_that_writes_to_the_record_is_not_lifted_but_the_others_are() -> None:
    @labeling_function()
    def writes(x: Any) -> int:
        x.text = x.text.upper()
        return ABSTAIN

    some = probe_set(writes, lifting_lfs.contains)
    lifting = unchecked(some)
    assert list(lifting.lifted) == [1]
    assert isinstance(readings(some)[0], Python)
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))


def test_a_source_that_is_not_what_runs_is_not_read() -> None:
    def now(x: Any) -> int:
        return SPAM if "now" in x.text else ABSTAIN

    constants = tuple("then" if c == "now" else c for c in now.__code__.co_consts)
    then = types.FunctionType(now.__code__.replace(co_consts=constants), now.__globals__, "then")
    assert lifting_of(probe_set(now), fewest=1).lifted
    assert not lifting_of(probe_set(then), fewest=1).lifted


def test_few_are_not_worth_it() -> None:
    some = (lifting_lfs.contains, lifting_lfs.number, lifting_lfs.length, lifting_lfs.regex)
    assert len(lifting_of(probe_set(*some)).lifted) == len(some)
    assert not lifting_of(probe_set(*some[1:], *NOT_LIFTED)).lifted


def test_two_lambdas_of_one_line_are_told_apart() -> None:
    lfs = [lambda x: SPAM if "k" in x.text else ABSTAIN, lambda x: 0 if "a" in x.text else ABSTAIN]
    some = probe_set(*(LabelingFunction(str(n), lf) for n, lf in enumerate(lfs)))
    lifting = unchecked(some)
    assert len(lifting.lifted) == 2
    assert_same(engine.run(some, GOOD, lifting=lifting), engine.run(some, GOOD))


def test_code_without_a_source_runs_as_it_is() -> None:
    names: dict[str, Any] = {}
    exec("def lf(x):\n    return 1 if 'k' in x.text else -1\n", names)  # noqa: S102
    some = probe_set(names["lf"])
    lifting = lifting_of(some, fewest=1)
    assert not lifting.lifted
    outcomes = engine.run(some, GOOD, lifting=lifting).outcomes[:, 0]
    assert (outcomes == 1).tolist() == ["k" in record["text"] for record in GOOD]


def test_preprocessors_run_once_a_record_for_lifted_lfs_and_for_the_others() -> None:
    seen: list[int] = []

    @preprocessor()
    def counted(x: Any) -> Any:
        seen.append(x.links)
        return x

    @labeling_function(pre=[counted])
    def lifted(x: Any) -> int:
        return SPAM if x.links > 2 else ABSTAIN

    @labeling_function(pre=[counted])
    def called(x: Any) -> int:
        return SPAM if sorted([x.links, 2])[1] > 2 else ABSTAIN

    some = probe_set(lifted, called)
    records = [{"links": n % 5} for n in range(AT_ONCE + 1)]
    lifting = unchecked(some)
    assert list(lifting.lifted) == [0]
    matrix = engine.run(some, records, lifting=lifting, name="unchecked")
    assert len(seen) == len(records)
    assert_same(matrix, engine.run(some, records))
