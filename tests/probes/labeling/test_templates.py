from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tidegauge_probes import ABSTAIN, ERROR, ProbeSet, engine
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec

TEXTS = st.text(
    st.one_of(st.sampled_from("abAB xyÄäßİ\u0131Σ\u03c3ς\n_1é٣."), st.characters(codec="utf-8")),
    max_size=12,
)
WORDS = st.lists(st.text(st.sampled_from("abAÄäé _1.İßΣ"), min_size=1, max_size=3), min_size=1)
BOUNDS = {
    "above": lambda x, b: x > b,
    "at_least": lambda x, b: x >= b,
    "below": lambda x, b: x < b,
    "at_most": lambda x, b: x <= b,
    "equals": lambda x, b: x == b,
    "not_equals": lambda x, b: x != b,
}


def probes(**condition: Any) -> ProbeSet:
    spec = TemplateSpec.model_validate({"name": "lf", "label": 1, **condition})
    return ProbeSet.of([spec], cardinality=2)


def votes(records: list[dict[str, Any]], **condition: Any) -> list[int]:
    """Return the outcomes of one template that votes 1."""
    found: list[int] = engine.run(probes(**condition), records).outcomes[:, 0].tolist()
    return found


def texts(*values: Any) -> list[dict[str, Any]]:
    return [{"text": value} for value in values]


def as_votes(matches: list[bool]) -> list[int]:
    return [1 if match else ABSTAIN for match in matches]


# -- keyword ----------------------------------------------------------------------------------


@given(
    values=st.lists(TEXTS),
    words=WORDS,
    every=st.booleans(),
    case=st.booleans(),
    whole_word=st.booleans(),
)
@example(values=["ÄPFEL", "äpfel", ""], words=["Äpfel"], every=False, case=False, whole_word=True)
def test_keyword_is_what_a_loop_finds(
    values: list[str], words: list[str], *, every: bool, case: bool, whole_word: bool
) -> None:
    def found(text: str, word: str) -> bool:
        text, word = (text, word) if case else (text.lower(), word.lower())
        if not whole_word:
            return word in text
        return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None

    keyword = {"all" if every else "any": words, "case": case, "whole_word": whole_word}
    combine = all if every else any
    expected = as_votes([combine([found(text, word) for word in words]) for text in values])
    assert votes(texts(*values), keyword=keyword) == expected


def test_keyword_examples() -> None:
    some = texts("Buy PILLS now", "spillsome", "", "pills", "buy")
    assert votes(some, keyword={"any": ["pills"]}) == [1, 1, -1, 1, -1]
    assert votes(some, keyword={"any": ["pills"], "whole_word": True}) == [1, -1, -1, 1, -1]
    assert votes(some, keyword={"any": ["pills"], "case": True}) == [-1, 1, -1, 1, -1]
    assert votes(some, keyword={"all": ["pills", "buy"]}) == [1, -1, -1, -1, -1]
    assert votes(some, keyword={"any": ["pills", "buy"]}) == [1, 1, -1, 1, 1]


def test_whole_words_end_where_python_says_a_word_ends() -> None:
    some = texts("naïve", "naïv", "na-v", "C++ rules", "C++x", "C++")
    assert votes(some, keyword={"any": ["na"], "whole_word": True}) == [-1, -1, 1, -1, -1, -1]
    assert votes(some, keyword={"any": ["C++"], "whole_word": True}) == [-1, -1, -1, 1, -1, 1]


# -- regex ------------------------------------------------------------------------------------

PATTERNS = [
    r"^a",
    r"b$",
    r"a.b",
    r"\bab\b",
    r"\s",
    r"\d",
    r"[ä-ü]",
    r"(a)\1",
    r"(?<=a)b",
    r"(?s)a.b",
    r"(?m)^b",
    r"\Aab\Z",
    r"ß|\u03c3",
    r"\W{2}",
    "",
]


@given(values=st.lists(TEXTS), pattern=st.sampled_from(PATTERNS), case=st.booleans())
@example(values=["a\nb", "ab\n", "ÄÖ", "ς"], pattern=r"b$", case=False)
def test_regex_is_pythons_re(values: list[str], pattern: str, *, case: bool) -> None:
    search = re.compile(pattern, 0 if case else re.IGNORECASE).search
    expected = as_votes([search(text) is not None for text in values])
    assert votes(texts(*values), regex={"pattern": pattern, "case": case}) == expected


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_cannot_be_compiled_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        probes(regex={"pattern": pattern})


# -- numeric and length -----------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(-5, 5), st.floats(), st.integers())


@given(st.lists(NUMBERS), st.dictionaries(st.sampled_from(sorted(BOUNDS)), st.integers(-3, 3)))
@example([float("nan"), 1, 10**400, -(10**400)], {"not_equals": 1})
@example([2, 2.0, 3, 1], {"above": 1, "below": 3})
def test_numbers_satisfy_every_bound(values: list[float], bounds: dict[str, float]) -> None:
    records = [{"n": value} for value in values]
    if not bounds:
        with pytest.raises(ValidationError, match="give at least one of above, at_least, below"):
            probes(numeric={"field": "n"})
        return
    matches = [all(BOUNDS[name](value, b) for name, b in bounds.items()) for value in values]
    assert votes(records, numeric={"field": "n", **bounds}) == as_votes(matches)


@given(st.lists(TEXTS), st.sampled_from(["characters", "words"]), st.integers(0, 4))
def test_length_counts_characters_or_words(values: list[str], unit: str, bound: int) -> None:
    sizes = [len(v) if unit == "characters" else len(v.split()) for v in values]
    found = votes(texts(*values), length={"unit": unit, "at_least": bound})
    assert found == as_votes([size >= bound for size in sizes])


def test_length_is_of_characters_unless_told() -> None:
    assert votes(texts("", "ä", "äö"), length={"at_most": 1}) == [1, 1, -1]


# -- what a field may be ----------------------------------------------------------------------

LEAVES: list[dict[str, Any]] = [
    {"keyword": {"field": "a.b", "any": ["x"]}},
    {"regex": {"field": "a.b", "pattern": "x"}},
    {"length": {"field": "a.b", "at_least": 1}},
    {"numeric": {"field": "a.b", "at_least": 1}},
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_absent_is_missing_null_does_not_match_another_type_is_wrong(leaf: dict[str, Any]) -> None:
    good, bad = (1, "x") if "numeric" in leaf else ("x", 1)
    records: list[dict[str, Any]] = [
        {"a": {"b": good}},
        {"a": {"b": None}},
        {"a": {"b": bad}},
        {"a": {"b": True}},
        {"a": {}},
        {"a": "x"},
        {},
        {"a.b": good, "a": {"b": None}},
        {"a.b": None, "a": {"b": good}},
    ]
    matrix = engine.run(probes(**leaf), records)
    assert matrix.outcomes[:, 0].tolist() == [1, -1, -2, -2, -2, -2, -2, 1, -1]
    assert {f.row: f.type for f in matrix.faults} == {
        2: "wrong_type",
        3: "wrong_type",
        4: "missing_field",
        5: "missing_field",
        6: "missing_field",
    }
    messages = {f.row: f.message for f in matrix.faults}
    assert messages[4] == "the record has no field 'a.b'"
    wanted = "a number" if "numeric" in leaf else "a string"
    assert messages[2] == f"field 'a.b' is {type(bad).__name__}, not {wanted}"


def test_missing_is_absent_null_or_empty_and_never_fails() -> None:
    records: list[dict[str, Any]] = [
        {},
        {"a": None},
        {"a": {"b": None}},
        {"a": {"b": ""}},
        {"a": {"b": " "}},
    ]
    records.append({"a": {"b": 0}})
    assert votes(records, missing={"field": "a.b"}) == [1, 1, 1, 1, -1, -1]


def test_is_null_is_null_and_nothing_else() -> None:
    values: list[Any] = [None, "", 0, False, float("nan"), [], {}]
    records: list[dict[str, Any]] = [{"a": {"b": value}} for value in values]
    matrix = engine.run(probes(is_null={"field": "a.b"}), [*records, {}, {"a": None}])
    assert matrix.outcomes[:, 0].tolist() == [1, -1, -1, -1, -1, -1, -1, ERROR, ERROR]
    assert {(f.type, f.message) for f in matrix.faults} == {
        ("missing_field", "the record has no field 'a.b'")
    }


@pytest.mark.parametrize(
    "leaf",
    [
        *LEAVES,
        {"categorical": {"field": "a.b", "none_of": ["y"]}},
        {"lookup": {"field": "a.b", "values": ["x"]}},
    ],
)
def test_null_is_an_error_where_that_is_asked_for(leaf: dict[str, Any]) -> None:
    [(kind, keys)] = leaf.items()
    good: Any = 1 if kind == "numeric" else "x"
    records: list[dict[str, Any]] = [{"a": {"b": None}}, {"a": {"b": good}}, {}]
    assert votes(records, **leaf) == [ABSTAIN, 1, ERROR]
    strict = {kind: {**keys, "on_null": "error"}}
    assert votes(records, **strict) == [ERROR, 1, ERROR]
    assert votes(records, **{"not": strict}) == [ERROR, ABSTAIN, ERROR]
    fault, _ = engine.run(probes(**strict), records).faults
    assert (fault.row, fault.type) == (0, "wrong_type")
    assert fault.message.startswith("field 'a.b' is null, not a ")


@pytest.mark.parametrize("leaf", LEAVES)
def test_what_is_done_with_null_is_part_of_the_id_only_if_given(leaf: dict[str, Any]) -> None:
    [(kind, keys)] = leaf.items()
    strict = {kind: {**keys, "on_null": "error"}}
    assert "on_null" not in str(probes(**leaf).probes[0].contents())
    assert probes(**leaf).id != probes(**strict).id


@pytest.mark.parametrize(
    "leaf", [*LEAVES, {"missing": {}}, {"is_null": {}}, {"all": [{"missing": {}}]}]
)
def test_empty_in_empty_out(leaf: dict[str, Any]) -> None:
    assert votes([], **leaf) == []


# -- all, any, not ----------------------------------------------------------------------------

TRUE, FALSE, FAILS = ({"keyword": {"field": f, "any": ["x"]}} for f in ("yes", "no", "gone"))


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.sampled_from([TRUE, FALSE, FAILS])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=8,
    )


def as_python(condition: dict[str, Any], record: dict[str, str]) -> bool:
    """Evaluate as Python evaluates `and`, `or`, `not`: left to right, stopping early."""
    [(kind, inner)] = condition.items()
    if kind == "keyword":
        return bool(inner["any"][0] in record[inner["field"]])
    if kind == "not":
        return not as_python(inner, record)
    results = (as_python(part, record) for part in inner)
    return all(results) if kind == "all" else any(results)


@given(conditions())
def test_mixes_stop_early_as_pythons_and_and_or_do(condition: dict[str, Any]) -> None:
    record = {"yes": "x", "no": ""}
    try:
        expected = 1 if as_python(condition, record) else ABSTAIN
    except KeyError:
        expected = ERROR
    # Beside records that are decided otherwise: each record stands for itself.
    others = [{"yes": "", "no": "x", "gone": "x"}, {}]
    assert votes([others[0], record, others[1]], **condition)[1] == expected


def test_not_missing_guards_what_follows() -> None:
    guarded = [{"not": {"missing": {"field": "n"}}}, {"numeric": {"field": "n", "above": 1}}]
    assert votes([{}, {"n": 2}, {"n": None}, {"n": 0}], all=guarded) == [-1, 1, -1, -1]
    assert votes([{}], all=guarded[::-1]) == [ERROR]


@pytest.mark.parametrize("mix", ["all", "any"])
def test_a_mix_names_the_first_fault_as_python_would_raise_it(mix: str) -> None:
    parts: list[dict[str, Any]] = [{"missing": {}}] if mix == "all" else []
    parts += [{"length": {"field": field, "above": 1}} for field in ("first", "second")]
    (fault,) = engine.run(probes(**{mix: parts}), [{}]).faults
    assert fault.message == "the record has no field 'first'"


@given(conditions())
def test_a_slice_takes_what_a_template_votes_for(condition: dict[str, Any]) -> None:
    records: list[dict[str, Any]] = [{"yes": "x", "no": ""}, {"yes": "", "no": "x", "gone": "x"}]
    piece = SliceSpec.model_validate({"name": "piece", **condition})
    matrix = engine.run(
        ProbeSet.of([lambda_lf()], cardinality=2, slices=[piece]), [*records, *records]
    )
    expected = [vote == 1 for vote in votes([*records, *records], **condition)]
    assert matrix.segments[:, 0].tolist() == expected


def lambda_lf() -> TemplateSpec:
    return TemplateSpec.model_validate({"name": "any", "label": 0, "missing": {"field": "text"}})


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({}, "found none"),
        ({"missing": {}, "length": {"above": 1}}, "found length and missing"),
        ({"keyword": {}}, r"give exactly one of any, all \(found none\)"),
        ({"keyword": {"any": ["a"], "all": ["b"]}}, "found any and all"),
        ({"keyword": {"any": []}}, "at least 1 item"),
        ({"all": []}, "at least 1 item"),
        ({"length": {"unit": "lines", "above": 1}}, "'characters' or 'words'"),
    ],
)
def test_a_condition_that_says_nothing_or_too_much_is_refused(
    condition: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        probes(**condition)


def test_votes_are_int8_of_the_class_in_the_file() -> None:
    spec = TemplateSpec.model_validate({"name": "lf", "label": "C", "missing": {"field": "t"}})
    matrix = engine.run(ProbeSet.of([spec], classes=["A", "B", "C"]), [{}, {"t": "x"}])
    assert matrix.outcomes.dtype == np.int8
    assert matrix.outcomes[:, 0].tolist() == [2, ABSTAIN]
