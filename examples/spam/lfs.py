"""Labeling functions for a spam filter, in the styles people know from Snorkel.

A team that has Snorkel keeps `from snorkel.labeling import …`: nothing else changes.
"""

import re
from typing import Any

from tidegauge_probes import (
    LabelingFunction,
    Preprocessor,
    ProbeSet,
    labeling_function,
    preprocessor,
    slicing_function,
)

ABSTAIN = -1
HAM = 0
SPAM = 1


# 1. A plain condition ------------------------------------------------------------------------


@labeling_function()
def check_out(x: Any) -> int:
    """Asks to check something out."""
    return SPAM if re.search(r"check\s.*\sout", x.text, re.IGNORECASE) else ABSTAIN


@labeling_function()
def many_links(x: Any) -> int:
    """Holds three links or more."""
    return SPAM if x.links >= 3 else ABSTAIN


@labeling_function()
def no_author(x: Any) -> int:
    """Does not say who wrote it."""
    return SPAM if x.author is None else ABSTAIN


# 2. One function, many LFs: resources ----------------------------------------------------------


def has_keyword(x: Any, keywords: list[str], label: int) -> int:
    words = set(re.findall(r"\w+", x.text.lower()))
    return label if words.intersection(keywords) else ABSTAIN


def keyword_lf(name: str, keywords: list[str], label: int) -> LabelingFunction:
    return LabelingFunction(
        name=name, f=has_keyword, resources={"keywords": keywords, "label": label}
    )


mentions_vicodin = keyword_lf("mentions_vicodin", ["vicodin", "oxycontin"], SPAM)
cheap_pills = keyword_lf("cheap_pills", ["viagra", "cialis", "pills"], SPAM)
begs_for_followers = keyword_lf("begs_for_followers", ["subscribe", "followers"], SPAM)
meeting_words = keyword_lf("meeting_words", ["meeting", "agenda", "minutes"], HAM)

ORDER = re.compile(r"\border\s(number\s)?\d{4,}", re.IGNORECASE)
INCOME = re.compile(r"\b(earn|make|made)\s(up\sto\s)?\$\d", re.IGNORECASE)


@labeling_function(resources={"pattern": ORDER})
def order_number(x: Any, pattern: re.Pattern[str]) -> int:
    """Names an order by its number."""
    return HAM if pattern.search(x.text) else ABSTAIN


@labeling_function(resources={"pattern": INCOME})
def promises_income(x: Any, pattern: re.Pattern[str]) -> int:
    """Promises money for little work."""
    return SPAM if pattern.search(x.text) else ABSTAIN


# 3. Preprocessors: run once per record, however many LFs use them ------------------------------


@preprocessor()
def without_links(x: Any) -> Any:
    x.prose = re.sub(r"https?://\S+", "", x.text)
    return x


class CountWords(Preprocessor):
    """Adds the number of words, and of words in capitals."""

    def __init__(self) -> None:
        super().__init__(
            "count_words",
            field_names={"prose": "prose"},
            mapped_field_names={"words": "words", "capitals": "capitals"},
            pre=[without_links],
        )

    def run(self, prose: str) -> dict[str, int]:  # type: ignore[override]
        words = prose.split()
        capitals = sum(word.isupper() and len(word) > 3 for word in words)
        return {"words": len(words), "capitals": capitals}


count_words = CountWords()


@labeling_function(pre=[count_words])
def shouting(x: Any) -> int:
    """Has two words or more in capitals."""
    return SPAM if x.capitals >= 2 else ABSTAIN


@labeling_function(pre=[count_words])
def short_message(x: Any) -> int:
    """Is short."""
    return HAM if x.words < 14 else ABSTAIN


@labeling_function(pre=[without_links])
def thanks_without_link(x: Any) -> int:
    """Says thanks and links nowhere."""
    return HAM if "thanks" in x.prose.lower() and x.prose == x.text else ABSTAIN


# 4. A class with state of its own --------------------------------------------------------------


class PhraseLF(LabelingFunction):
    """Votes where all parts of a phrase occur in their order."""

    def __init__(self, name: str, *parts: str, label: int) -> None:
        self.parts = [part.lower() for part in parts]
        self.label = label
        super().__init__(name, self.vote)

    def vote(self, x: Any) -> int:
        text, position = x.text.lower(), 0
        for part in self.parts:
            position = text.find(part, position)
            if position < 0:
                return ABSTAIN
        return self.label


claims_prize = PhraseLF("claims_prize", "won", "claim", label=SPAM)


# 5. A slice to watch on its own ----------------------------------------------------------------


@slicing_function()
def from_mail(x: Any) -> bool:
    """Came by mail."""
    return bool(x.channel == "mail")


LFS = [
    mentions_vicodin,
    cheap_pills,
    check_out,
    begs_for_followers,
    claims_prize,
    promises_income,
    many_links,
    no_author,
    shouting,
    short_message,
    thanks_without_link,
    meeting_words,
    order_number,
]

PROBES = ProbeSet.of(LFS, classes=["HAM", "SPAM"], slices=[from_mail])
