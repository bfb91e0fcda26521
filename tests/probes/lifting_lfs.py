"""LFs in the styles of Snorkel's tutorials and their like: some can be lifted, some must not be."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import partial
from typing import Any

from tidegauge_probes import (
    ABSTAIN,
    LabelingFunction,
    labeling_function,
    preprocessor,
    slicing_function,
)

HAM, SPAM = 0, 1
WORDS = ["prize", "Winner", "naïve"]
TUPLE = ("check", "out", "k")
PATTERN = re.compile(r"\bfree\b", re.IGNORECASE)
search = re.compile(r"https?://\S+").search
LIMIT = 3


class Label(IntEnum):
    NONE = -1
    HAM = 0
    SPAM = 1


@preprocessor()
def lowered(x: Any) -> Any:
    x.low = x.text.lower()
    return x


@labeling_function()
def contains(x: Any) -> int:
    return SPAM if "check" in x.text.lower() else ABSTAIN


@labeling_function()
def with_docstring_and_local(x: Any) -> int:
    """Say spam."""
    text = x.text.lower()
    if "check" not in text:
        return ABSTAIN
    return SPAM


@labeling_function()
def case_counts(x: Any) -> int:
    return SPAM if "Winner" in x.text else ABSTAIN


@labeling_function()
def any_word(x: Any) -> int:
    return SPAM if any(word in x.text.lower() for word in WORDS) else ABSTAIN


@labeling_function()
def all_words(x: Any) -> int:
    return SPAM if all([word in x.text for word in TUPLE]) else ABSTAIN  # noqa: C419


@labeling_function()
def two_of_them(x: Any) -> int:
    return SPAM if sum(word in x.text for word in (*"abk",)) >= 2 else ABSTAIN


@labeling_function()
def count_of_constants(x: Any) -> int:
    return SPAM if sum(word in x.text for word in TUPLE) >= 2 else HAM


@labeling_function(resources={"words": {"prize", "kiss"}, "label": 1})
def resources(x: Any, words: Any, label: int) -> int:
    return label if any(word in x.text for word in words) else ABSTAIN


@labeling_function()
def loop(x: Any) -> int:
    for word in TUPLE:
        if word in x.text:
            return SPAM
    return ABSTAIN


@labeling_function()
def regex(x: Any) -> int:
    return SPAM if re.search(r"check.*out", x.text, flags=re.IGNORECASE) else ABSTAIN


@labeling_function()
def regex_lowered(x: Any) -> int:
    return SPAM if re.search(r"\bkiss\b", x.text.lower()) is not None else ABSTAIN


@labeling_function()
def compiled(x: Any) -> int:
    if PATTERN.search(x.text):
        return Label.SPAM
    return Label.NONE


@labeling_function()
def bound_search(x: Any) -> int:
    return SPAM if search(x.text) else ABSTAIN


@labeling_function()
def matched(x: Any) -> int:
    return SPAM if re.match("a", x.text) or re.fullmatch(r"\d+", x.text) else ABSTAIN


@labeling_function()
def length(x: Any) -> int:
    return HAM if len(x.text) < 8 else ABSTAIN


@labeling_function()
def words(x: Any) -> int:
    return HAM if len(x.text.split()) > 2 else ABSTAIN


@labeling_function()
def token(x: Any) -> int:
    return HAM if "k" in x.text.split() else ABSTAIN


@labeling_function()
def number(x: Any) -> int:
    return SPAM if x.links > LIMIT else ABSTAIN


@labeling_function()
def between(x: Any) -> int:
    return SPAM if 1 <= x.links < 3.5 else ABSTAIN


@labeling_function()
def equal(x: Any) -> int:
    return SPAM if x.links == 2 or x.author != "bob" else ABSTAIN


@labeling_function()
def item(x: Any) -> int:
    return SPAM if x["links"] != 2 else ABSTAIN


@labeling_function()
def guarded(x: Any) -> int:
    return SPAM if x.author is not None and x.author.startswith("b") else ABSTAIN


@labeling_function()
def truth(x: Any) -> int:
    return SPAM if not x.author else ABSTAIN


@labeling_function()
def one_of(x: Any) -> int:
    return SPAM if x.author in {"bob", "al"} else ABSTAIN


@labeling_function()
def ends(x: Any) -> int:
    return SPAM if x.text.strip().endswith(("k", "out")) and not x.text.isupper() else HAM


@labeling_function()
def counted(x: Any) -> int:
    return SPAM if x.text.count("k") > 1 else ABSTAIN


@labeling_function()
def branches(x: Any) -> int:
    if x.links > 5:
        if "k" in x.text:
            return SPAM
        return HAM
    elif "a" in x.text:  # noqa: RET505  (as people write it)
        return HAM
    else:
        return ABSTAIN


@labeling_function()  # noqa: RET503  (a bug that users have)
def falls_off(x: Any) -> Any:
    if "k" in x.text:
        return SPAM


@labeling_function()
def no_vote(x: Any) -> Any:
    return 7 if "k" in x.text else "spam"


@labeling_function()
def yes_or_no(x: Any) -> Any:
    return "k" in x.text and x.links > 2


@labeling_function()
def partly(x: Any) -> int:
    if "k" not in x.text:
        return ABSTAIN
    return SPAM if sorted(x.text)[0] == " " else HAM  # noqa: FURB192


@labeling_function(pre=[lowered])
def preprocessed(x: Any) -> int:
    return SPAM if "check" in x.low and x.links > 1 else ABSTAIN


@labeling_function()
def tuple_of_bools(x: Any) -> int:
    return SPAM if bool("k" in x.text) and str(x.text) == "k" else ABSTAIN


class Keyword:
    """A class-based LF."""

    name = "class_based"
    label = SPAM

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __call__(self, x: Any) -> int:
        return self.label if any(w in x.text.lower() for w in self.words) else ABSTAIN


def keyword(x: Any, words: Any, label: int = SPAM) -> int:
    if any(word in x.text.lower() for word in words):
        return label
    return ABSTAIN


def named(lf: Any, name: str) -> LabelingFunction:
    return LabelingFunction(name, lf)


LIFTED: tuple[Any, ...] = (
    contains, with_docstring_and_local, case_counts, any_word, all_words, count_of_constants,
    resources, loop, regex, regex_lowered, compiled, bound_search, matched, length, words, token,
    number, between, equal, item, guarded, truth, one_of, ends, counted, branches,
    falls_off, no_vote, yes_or_no, partly, preprocessed, tuple_of_bools,
    Keyword(["prize", "check"]),
    named(partial(keyword, words=("prize", "k")), "partial"),
    LabelingFunction("made", keyword, {"words": ["out"], "label": 0}),
    named(lambda x: SPAM if "k" in x.text else ABSTAIN, "lambda"), named(lambda _: HAM, "constant"),
)  # fmt: skip


@labeling_function()
def writes_a_name(x: Any) -> int:
    global LIMIT  # noqa: PLW0603
    LIMIT = 3
    return SPAM


@labeling_function()
def calls_helper(x: Any) -> int:
    return keyword(x, ["k"])


@labeling_function()
def tries(x: Any) -> int:
    try:
        return SPAM if "k" in x.text else ABSTAIN
    except TypeError:
        return ABSTAIN


@labeling_function()
def compares_fields(x: Any) -> int:
    return SPAM if x.links > x.score else ABSTAIN


@labeling_function()
def gets(x: Any) -> int:
    return SPAM if x.get("links") else ABSTAIN


@labeling_function()
def while_loop(x: Any) -> int:
    while "k" in x.text:
        return SPAM
    return ABSTAIN


def stars(x: Any, *rest: Any) -> int:
    return SPAM if "k" in x.text else ABSTAIN


@labeling_function()
def returns_a_name(x: Any) -> Any:
    return "TECH"


@labeling_function()
def returns_nothing(x: Any) -> Any:
    return None


@labeling_function()
def returns_too_much(x: Any) -> Any:
    return 7


NOT_LIFTED: tuple[Any, ...] = (
    two_of_them, writes_a_name, calls_helper, tries, compares_fields, gets, while_loop, stars,
)  # fmt: skip


@slicing_function()
def short(x: Any) -> bool:
    return len(x.text) < 6
