"""Votes found in one pass are those of plain Python, cell by cell."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegauge_probes import ProbeSet, engine
from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.columns.literals import required
from tidegauge_probes.columns.needles import Needle, Needles
from tidegauge_probes.columns.texts import ODD, Texts
from tidegauge_probes.labeling.templates import TemplateSpec

LETTERS = "abAB" + ODD + "kKsSiI ßäÄΣσς\n\0\ud800:"
TEXTS = st.text(st.sampled_from(LETTERS), max_size=12)
WORDS = st.text(st.sampled_from(LETTERS.replace("\ud800", "")), min_size=1, max_size=3)

PATTERNS = (
    r"abk",
    r"(?:abk|sis)+",
    r"a\s.*b",
    r"(?i:ab)k",
    r"[ab]+:",
    r"(ab|AB)\1:",
    r"(?=abk)a",
    r"(?!abk)a",
    r"(?:abk)?s",
    r"(?:abk){2,}",
    r"^abk$",
    r"\babk\b",
    r"(?x) a b k  # a comment",
    r"a(?#abk)b",
    r"äab",
    r"(?s:a.b)k",
    r"(abk|s)(?(1)i|k)",
    # `re` has known these since Python 3.11.
    *((r"(?>abk|ab)s", r"(?:abk)*+s") if sys.version_info >= (3, 11) else ()),
    r"k|abk",
    r"",
)


def test_the_odd_letters_are_all_that_match_an_ascii_letter_when_case_is_ignored() -> None:
    every = (chr(c) for c in range(128, 0x110000))
    letter = re.compile("[a-z]", re.IGNORECASE)
    assert "".join(sorted(c for c in every if letter.fullmatch(c))) == "".join(sorted(ODD))


def test_lower_case_keeps_ascii_and_kinds_where_they_are() -> None:
    """Beside the odd ones no character becomes, or begins or ends with, another kind."""
    for letter in map(chr, range(128, 0x110000)):
        lowered = letter.lower()
        if lowered != letter and letter not in ODD:
            assert not re.search(r"[\0-\x7f]", lowered), letter
            assert len({Texts([one]).blob for one in (letter, lowered[0], lowered[-1])}) == 1


@given(
    st.lists(st.builds(Needle, WORDS, st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.lists(TEXTS, max_size=8),
)
@example([Needle(c) for c in "abcdefg"], ["a\0b", "c"])
@example([Needle("ab"), Needle("\0")], ["a", "b", "", "\0"])
@example([Needle("ab", lowered=False, whole=True)], ["ab", "abä", "", "\ud800ab", "äab ab"])
def test_every_word_is_found_where_it_is(needles: list[Needle], texts: list[str]) -> None:
    sought = Needles(needles)
    found = sought.find(Texts(texts))
    for needle, column in sought.columns.items():
        lowered = [text.lower() if needle.lowered else text for text in texts]
        word = re.escape(needle.word)
        pattern = re.compile(rf"(?<!\w){word}(?!\w)" if needle.whole else word)
        assert found[column].tolist() == [bool(pattern.search(t)) for t in lowered], needle


def template(**condition: Any) -> TemplateSpec:
    name = str(condition)[:200]
    return TemplateSpec.model_validate({"name": name, "label": "A", **condition})


VALUES = st.one_of(TEXTS, TEXTS, TEXTS, st.none(), st.integers())
RECORDS = st.lists(VALUES.map(lambda v: {"text": v}), min_size=1, max_size=8)
KEYWORDS = st.builds(
    lambda words, kind, whole, case: template(
        keyword={kind: words, "whole_word": whole, "case": case}
    ),
    st.lists(WORDS, min_size=1, max_size=4),
    st.sampled_from(["any", "all"]),
    st.booleans(),
    st.booleans(),
)
REGEXES = st.builds(
    lambda pattern, case: template(regex={"pattern": pattern, "case": case}),
    st.sampled_from(PATTERNS),
    st.booleans(),
)


@given(st.lists(KEYWORDS | REGEXES, min_size=4, max_size=9, unique_by=lambda t: t.name), RECORDS)
def test_one_pass_votes_as_each_condition_alone(
    templates: list[TemplateSpec], records: list[dict[str, Any]]
) -> None:
    probe_set = ProbeSet.of(templates, classes=["A", "B"])
    shared = Batch(records, probe_set.needles)
    for one in templates:
        mask, faults = one.holds(shared)
        alone, alone_faults = one.holds(Batch(records))
        assert mask.tolist() == alone.tolist(), one
        assert faults == alone_faults


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("ignore_case", [True, False])
@given(texts=st.lists(st.text(st.sampled_from("abkABKsSi \n:ä"), max_size=12), max_size=20))
def test_what_a_pattern_requires_is_in_every_text_it_is_found_in(
    *, pattern: str, ignore_case: bool, texts: list[str]
) -> None:
    literals = required(pattern, re.IGNORECASE if ignore_case else 0)
    search = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search
    for text in texts:
        if literals is not None and search(text):
            assert any(literal in text.lower() for literal in literals), (literals, text)


def test_patterns_that_require_something_are_looked_at_less_often() -> None:
    assert required(r"check\s.*\sout", re.IGNORECASE) == frozenset({"check"})
    assert required(r"(viagra|cialis)s?", re.IGNORECASE) == frozenset({"viagra", "cialis"})
    assert required(r"(?:viagra|x)s?", re.IGNORECASE) is None
    assert required(r"\b\d{1,2}:\d\d\b", re.IGNORECASE) == frozenset({":"})
    assert required(r"[A-Z]{6,}", 0) is None


def test_many_words_on_many_records_vote_as_plain_python() -> None:
    rng = np.random.default_rng(5)
    words = [f"w{n}" for n in range(40)]
    texts = [
        " ".join(rng.choice(words, size=12)) + (" \u017f" if n % 7 == 0 else "") for n in range(500)
    ]
    templates = [template(keyword={"any": [word], "whole_word": True}) for word in words]
    outcomes = engine.run(
        ProbeSet.of(templates, classes=["A", "B"]), [{"text": text} for text in texts]
    ).outcomes
    expected = [[0 if word in text.split() else -1 for word in words] for text in texts]
    assert outcomes.tolist() == expected
