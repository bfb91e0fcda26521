"""RE2 on whole columns finds what `re` finds (more: `python -m tests.probes.pattern_fuzz`)."""

from __future__ import annotations

import re
import sys

import pytest

from tests.probes import pattern_fuzz
from tidegauge_probes.columns.patterns import WORTH_IT, Mode, Pattern, Reach, translate
from tidegauge_probes.columns.texts import STAND_INS, Texts

MANY = [""] * WORTH_IT
"""So many that RE2 is asked."""


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns_are_found_in_random_texts_as_re_finds_them(seed: int) -> None:
    seen, differences = pattern_fuzz.run(10_000, seed)
    assert differences == []
    assert seen["translated"] > seen["patterns"] / 2
    assert seen["matches"] > seen["pairs"] / 20
    assert seen["beyond_ascii"] > seen["pairs"] / 10


@pytest.mark.parametrize(
    ("pattern", "flags", "reach"),
    [
        (r"https?://\S+", 0, Reach.ALL),
        (r"check.*out", re.IGNORECASE, Reach.ALL),
        (r"\$\s?\d+(\.\d\d)?$", 0, Reach.ALL),
        (r"\bno (fee|credit)s?\b", 0, Reach.ALL),
        (r"\b\D\b[a-z]?\d?[A-Z0-9_]", 0, Reach.NO_WORDS),
        (r"(?a)\bno\b", 0, Reach.ALL),
        (r"na[iï]ve\b", 0, Reach.ASCII),
    ],
)
def test_how_far_a_pattern_reaches(pattern: str, flags: int, reach: Reach) -> None:
    translation = translate(pattern, flags, Mode.SEARCH)
    assert translation is not None
    assert translation.reach is reach


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1",
        r"(?=a)",
        r"(?<!a)b",
        # `re` has known these since Python 3.11.
        *((r"(?>a|ab)c", r"a*+b") if sys.version_info >= (3, 11) else ()),
        r"(a)?(?(1)b|c)",
        r"\Ba",
        r"(a$|b)c",
        r"(?:a*)*b",
        r"a{1000}",
        r"(?a:\W)$",
    ],
)
def test_what_re2_lacks_or_means_otherwise_is_left_to_re(pattern: str) -> None:
    assert translate(pattern, 0, Mode.SEARCH) is None
    texts = ["aac", "ab", "\r\u4e00", "aab", *MANY]
    expected = [re.search(pattern, text) is not None for text in texts]
    assert Pattern(pattern).find(Texts(texts)).tolist() == expected


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("pattern", ["a$", "^a", "a|ab", "a\\n?$", r"\Aa\Z", "(?m)a$"])
def test_match_and_fullmatch_are_anchored_as_in_re(pattern: str, mode: Mode) -> None:
    texts = ["a", "a\n", "a\n\n", "ba", "ab", "b\na\nb", *MANY]
    test = getattr(re.compile(pattern), mode.value)
    assert translate(pattern, 0, mode) is not None
    found = Pattern(pattern, 0, mode).find(Texts(texts))
    assert found.tolist() == [test(text) is not None for text in texts]


def test_stand_ins_stand_for_themselves() -> None:
    for byte, character in STAND_INS.items():
        assert Texts([character]).blob == bytes([byte])


def test_a_text_of_another_length_in_lower_case_keeps_its_place() -> None:
    texts = Texts(["İİa", "", "b é", "\ud800c"])
    assert texts.blob == b"\x84\x84ab \x80\x83c"
    assert texts.offsets.tolist() == [0, 3, 3, 6, 8]
    assert texts.odd.tolist() == [True, False, False, False]
    assert texts.wordy.tolist() == [True, False, True, False]
    assert texts.words.tolist() == [1, 0, 2, 1]
