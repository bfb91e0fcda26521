"""Comments under music videos, spam or ham: LFs in the ways of Snorkel's spam tutorial."""

from __future__ import annotations

import re
from typing import Any

from tidegauge_probes import ABSTAIN, LabelingFunction, labeling_function, preprocessor

HAM, SPAM = 0, 1


def keyword_lookup(x: Any, keywords: list[str], label: int) -> int:
    return label if any(word in x.text.lower() for word in keywords) else ABSTAIN


def keyword_lf(keywords: list[str], label: int = SPAM) -> LabelingFunction:
    return LabelingFunction(
        name=f"keyword_{keywords[0]}",
        f=keyword_lookup,
        resources={"keywords": keywords, "label": label},
    )


@preprocessor(memoize=True)
def words(x: Any) -> Any:
    x.words = x.text.lower().split()
    return x


@labeling_function()
def regex_check_out(x: Any) -> int:
    return SPAM if re.search(r"check.*out", x.text, flags=re.IGNORECASE) else ABSTAIN


@labeling_function()
def has_link(x: Any) -> int:
    return SPAM if re.search(r"https?:|www\.|\.com", x.text, flags=re.IGNORECASE) else ABSTAIN


@labeling_function(pre=[words])
def short_comment(x: Any) -> int:
    return HAM if len(x.words) < 5 else ABSTAIN


@labeling_function(pre=[words])
def long_comment(x: Any) -> int:
    return SPAM if len(x.words) > 40 else ABSTAIN


LFS = [
    keyword_lf(["my"]),
    keyword_lf(["subscribe"]),
    keyword_lf(["please", "plz"]),
    keyword_lf(["song", "video"], HAM),
    keyword_lf(["love", "best"], HAM),
    regex_check_out,
    has_link,
    short_comment,
    long_comment,
]
