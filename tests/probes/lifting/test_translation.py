"""A template made from a Python LF has its outcomes, errors included; what differs is not made."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.probes import lifting_fuzz, lifting_lfs, pattern_fuzz
from tests.probes.lifting.test_lifting import GOOD, TEXTS
from tests.probes.lifting_lfs import LIFTED, short
from tidegauge_probes import ABSTAIN, LabelingFunction, ProbeSet, engine, slicing_function
from tidegauge_probes.compat import re_compile
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.lifting.lifted import Kind, Lifted, Python
from tidegauge_probes.lifting.reader import readings
from tidegauge_probes.lifting.translation import Untranslatable, translate, translate_slice

SPAM = 1
WORDS = ("k", "kiss")
PLAIN = [None, True, False, 0, 1, 2, 1.0, 2.5, math.nan, 2**60, "", "k", "bob", "b"]


def read(lf: Any) -> Lifted:
    (found,) = readings(ProbeSet.of([lf], cardinality=2)).values()
    assert isinstance(found, Lifted), found.why
    return found


def lf(f: Any) -> LabelingFunction:
    return LabelingFunction("lf", f)


def said(f: Any) -> dict[str, Any]:
    label, condition = translate(read(lf(f)))
    assert label == SPAM
    return condition


def both(candidate: Any) -> tuple[ProbeSet, ProbeSet]:
    """Return the LF, and the template made from it."""
    label, condition = translate(read(candidate))
    spec = TemplateSpec.model_validate({"name": "lf", "label": label, **condition})
    return ProbeSet.of([candidate], cardinality=2), ProbeSet.of([spec], cardinality=2)


def outcomes(probe_set: ProbeSet, records: list[dict[str, Any]]) -> list[int]:
    found: list[int] = engine.run(probe_set, records).outcomes[:, 0].tolist()
    return found


def translatable(candidate: Any) -> bool:
    try:
        translate(read(candidate))
    except Untranslatable:
        return False
    return True


MADE = [candidate for candidate in LIFTED if translatable(candidate)]
PAIRS = [both(candidate) for candidate in MADE]
NAMES = [ProbeSet.of([candidate]).probes[0].name for candidate in MADE]

RECORD = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS | st.none(),
        "links": st.none() | st.integers(-2, 8) | st.floats() | st.sampled_from([2**60, 10**400]),
        "author": st.none() | st.sampled_from(["bob", "al", "", "b"]),
    },
)


@given(st.lists(RECORD, max_size=30))
@example(GOOD)
@example([{"text": "kiss", "links": None, "author": None}, {}, {"text": None}])
def test_a_template_has_the_outcomes_of_the_lf(records: list[dict[str, Any]]) -> None:
    for name, (python, template) in zip(NAMES, PAIRS, strict=True):
        assert outcomes(template, records) == outcomes(python, records), name


def test_most_lfs_of_the_tutorials_styles_are_templates() -> None:
    left = {probe.name for probe in ProbeSet.of(LIFTED).probes} - set(NAMES)
    assert left == {
        "any_word", "branches", "constant", "count_of_constants", "counted", "ends", "falls_off",
        "no_vote", "partly", "preprocessed", "regex_lowered", "tuple_of_bools", "yes_or_no",
    }  # fmt: skip


def fits(value: Any, kind: Kind) -> bool:
    """Whether a value is one that a field of a kind may hold where outcomes are the same."""
    if value is None:
        return True
    if kind is Kind.TEXT:
        return type(value) is str
    return type(value) in ({int, float} if kind is Kind.NUMBER else {str, int, float, bool})


def fitting(record: Mapping[str, Any], lifted: Lifted) -> dict[str, Any]:
    """Return the record without what the LF's source is not made for."""
    kept = dict(record)
    for ref, kind in lifted.reads:
        assert isinstance(ref, str)
        if ref in kept and not fits(kept[ref], kind):
            del kept[ref]
    return kept


def random_lf(rng: random.Random, number: int) -> LabelingFunction:
    """Return an LF that votes for one class."""
    lines = [f"text = {rng.choice(('x.text', 'x.text.lower()', 'x.author'))}"]
    for _ in range(rng.choice((0, 0, 1, 2))):
        vote = rng.choice(("SPAM", "-1"))
        lines += [f"if {lifting_fuzz.condition(rng)}:", f"    return {vote}"]
    last = rng.choice(("SPAM if {} else -1", "-1 if {} else SPAM"))
    lines.append(f"return {last.format(lifting_fuzz.condition(rng))}")
    return lifting_fuzz.made(lines[rng.randint(0, 1) :], f"one_class_{number}")


@pytest.mark.parametrize("seed", range(2))
def test_templates_of_random_lfs_have_their_outcomes(seed: int) -> None:
    rng = random.Random(seed)
    made = Counter[str]()
    for number in range(250):
        candidate = random_lf(rng, number)
        (found,) = readings(ProbeSet.of([candidate])).values()
        if isinstance(found, Python) or not translatable(candidate):
            continue
        python, template = both(candidate)
        records = [fitting(lifting_fuzz.record(rng), found) for _ in range(40)]
        assert outcomes(template, records) == outcomes(python, records), found.tree
        made.update(translate(found)[1].keys())
        made["all of them"] += 1
    assert made["all of them"] > 30, made
    assert min(made["any"], made["all"], made["not"]) > 2, made


FLAGS = [
    *(re.RegexFlag(0), re.IGNORECASE, re.DOTALL, re.ASCII, re.VERBOSE),
    *(re.MULTILINE | re.IGNORECASE, re.ASCII | re.IGNORECASE | re.DOTALL),
]


@pytest.mark.parametrize("seed", range(2))
def test_patterns_find_the_same_as_a_template(seed: int) -> None:
    rng = random.Random(seed)
    made = 0
    for _ in range(600):
        written = rng.choice(("", "", "(?s)")) + pattern_fuzz.pattern(rng, 1)
        try:
            pattern = re_compile(written, rng.choice(FLAGS))
        except re.error:
            continue
        ask = rng.choice((pattern.search, pattern.match, pattern.fullmatch))
        candidate = LabelingFunction("lf", asks, {"ask": ask})
        if not translatable(candidate):
            continue
        python, template = both(candidate)
        texts = [{"text": pattern_fuzz.text(rng, 12)} for _ in range(20)]
        assert outcomes(template, texts) == outcomes(python, texts), pattern
        made += 1
    assert made > 200


def asks(x: Any, ask: Any) -> int:
    return SPAM if ask(x.text) else ABSTAIN


# -- What is written --------------------------------------------------------------------------


def test_conditions_read_as_people_write_them() -> None:
    assert said(lambda x: SPAM if 1 <= x.links < 3 else ABSTAIN) == {
        "numeric": {"field": "links", "at_least": 1, "below": 3, "on_null": "error"}
    }
    assert said(lambda x: SPAM if any(w in x.text.lower() for w in WORDS) else ABSTAIN) == {
        "keyword": {"field": "text", "any": ["k", "kiss"], "on_null": "error"}
    }
    assert said(lambda x: SPAM if "a" in x.text and "b" in x.text else ABSTAIN) == {
        "keyword": {"field": "text", "all": ["a", "b"], "case": True, "on_null": "error"}
    }
    assert said(lambda x: SPAM if x.author is None else ABSTAIN) == {"is_null": {"field": "author"}}
    assert said(lambda x: SPAM if x.author in ("a", None) else ABSTAIN) == {
        "any": [{"is_null": {"field": "author"}},
                {"categorical": {"field": "author", "one_of": ["a"]}}]
    }  # fmt: skip
    assert said(lambda x: SPAM if x.text.strip().lower() == "ok" else ABSTAIN) == {
        "lookup": {"field": "text", "values": ["ok"], "on_null": "error"}
    }
    assert said(lambda x: ABSTAIN if "a" in x.text else SPAM) == {
        "not": {"keyword": {"field": "text", "any": ["a"], "case": True, "on_null": "error"}}
    }


def test_words_that_are_asked_for_otherwise_stay_apart() -> None:
    condition = said(lambda x: SPAM if "a" in x.text or "b" in x.text.lower() else ABSTAIN)
    assert [list(part) for part in condition["any"]] == [["keyword"], ["keyword"]]
    condition = said(lambda x: SPAM if "a" in x.text or "b" in x.author else ABSTAIN)
    assert [part["keyword"]["field"] for part in condition["any"]] == ["text", "author"]
    condition = said(lambda x: SPAM if x.links > 2 and x.links > 3 else ABSTAIN)
    assert [part["numeric"]["above"] for part in condition["all"]] == [2, 3]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: SPAM if x.value == 1 else ABSTAIN,
        lambda x: SPAM if x.value == 0.0 else ABSTAIN,
        lambda x: SPAM if x.value != 2 else ABSTAIN,
        lambda x: SPAM if x.value == True else ABSTAIN,  # noqa: E712  (as people write it)
        lambda x: SPAM if x.value == "b" else ABSTAIN,
        lambda x: SPAM if x.value != "b" else ABSTAIN,
        lambda x: SPAM if x.value in ("b", 1, None) else ABSTAIN,
        lambda x: SPAM if x.value not in {"b", False} else ABSTAIN,
        lambda x: SPAM if x.value else ABSTAIN,
        lambda x: SPAM if not x.value else ABSTAIN,
        lambda x: SPAM if x.value is None else ABSTAIN,
        lambda x: SPAM if x.value is not None else ABSTAIN,
    ],
)
def test_values_that_python_takes_for_equal_are_equal(f: Any) -> None:
    """1, 1.0 and True are one to Python; a template tells true from 1."""
    python, template = both(lf(f))
    records = [{"value": value} for value in PLAIN] + [{}]
    assert outcomes(template, records) == outcomes(python, records)


@pytest.mark.parametrize("value", [[], {}, ["k"]])
def test_is_none_is_asked_of_any_value(value: Any) -> None:
    python, template = both(lf(lambda x: SPAM if x.text is None else ABSTAIN))
    assert outcomes(template, [{"text": value}]) == outcomes(python, [{"text": value}])


def test_slices_are_made_of_slicing_functions() -> None:
    @slicing_function()
    def asks_or_shouts(x: Any) -> Any:
        if "?" in x.text:
            return 1
        return "!" in x.text

    template = TemplateSpec.model_validate({"name": "lf", "label": 0, "missing": {}})
    records = [{"text": text} for text in ("a?", "b!", "", "long enough", None)] + [{}]
    for function in (short, asks_or_shouts):
        python = ProbeSet.of([template], slices=[function])
        (found,) = readings(python).values()
        assert isinstance(found, Lifted)
        piece = SliceSpec.model_validate({"name": "piece", **translate_slice(found)})
        made = ProbeSet.of([template], slices=[piece])
        segments = [engine.run(some, records).segments for some in (python, made)]
        assert segments[0].tolist() == segments[1].tolist()
        assert segments[0].any()


# -- What is not ------------------------------------------------------------------------------


def before_it_is_asked(x: Any) -> int:
    author = x.author.lower()
    if x.links > 2:
        return SPAM
    return SPAM if "b" in author else ABSTAIN


def as_it_is_asked(x: Any) -> int:
    author = x.author.lower()
    if "b" in author and x.links > 2:
        return SPAM
    return SPAM if "a" in author else ABSTAIN


def never_asked(x: Any) -> int:
    author = x.author
    return SPAM if x.links > 2 else author and ABSTAIN


def read_for_nothing(x: Any) -> int:
    if x.links > 2:
        author = x.author  # noqa: F841  (it fails where there is none)
        return SPAM
    return ABSTAIN


def all_are_read(x: Any) -> int:
    return SPAM if any(["b" in x[field] for field in ("text", "author")]) else ABSTAIN  # noqa: C419


def one_after_another(x: Any) -> int:
    return SPAM if any("b" in x[field] for field in ("text", "author")) else ABSTAIN


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (
            lifting_lfs.any_word._f,
            "'Winner' has upper-case letters, but the string is in lower case",
        ),
        (lifting_lfs.regex_lowered._f, "no template can test a string this way after .lower()"),
        (lifting_lfs.tuple_of_bools._f, "no template can express `str()`"),
        (lifting_lfs.branches._f, "it votes for several classes"),
        (lifting_lfs.partly._f, "`sorted(x.text)` in line"),
        (lifting_lfs.counted._f, "it counts"),
        (lambda _: SPAM, "it gives the same answer for every record"),
        (before_it_is_asked, "it reads 'author' before it tests it"),
        (read_for_nothing, "it reads 'author' before it tests it"),
        (all_are_read, "a list comprehension over several fields"),
        (lambda x: SPAM if x.text.isupper() else ABSTAIN, "no template can express `isupper`"),
        (lambda x: SPAM if x.text in "abc" else ABSTAIN, "no template can express `in`"),
        (lambda x: SPAM if "" in x.text else ABSTAIN, "part of it is true of every record"),
        (
            lambda x: SPAM if x.links > -9007199254740992 else ABSTAIN,
            "cannot be a bound in a template",
        ),
        (lambda x: SPAM if x.text.strip() in ("a ", "b") else ABSTAIN, "compares with a string"),
        (lambda x: SPAM if x.text.lower() == "a" else ABSTAIN, "compare a string after .lower()"),
        (lambda x: SPAM if len(x.text.lower()) > 2 else ABSTAIN, "after .lower()"),
        (lambda x: SPAM if re.match("(?x)a # b", x.text) else ABSTAIN, "verbose"),
        (lambda x: SPAM if re.match("(?s)a", x.text) else ABSTAIN, "has flags"),
    ],
)
def test_what_no_template_says_is_not_made(f: Any, why: str) -> None:
    with pytest.raises(Untranslatable, match=re.escape(why)):
        translate(read(lf(f)))


def test_what_is_read_and_asked_at_once_is_made() -> None:
    records = [
        {"author": author, "links": links, "text": text}
        for author in ("bob", "al", None, "z") for links in (1, 3, None) for text in ("b", None)
    ]  # fmt: skip
    records += [{"links": 3}, {"author": "al"}, {"author": "bob"}, {"text": "b"}, {"text": "c"}]
    for f in (as_it_is_asked, one_after_another):
        python, template = both(lf(f))
        assert outcomes(template, records) == outcomes(python, records)
