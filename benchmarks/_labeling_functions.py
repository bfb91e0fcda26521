"""The same labeling functions twice: as templates, and as the Python that people write.

Ten kinds, taken in turn: seven simple ones (one word in the text, a length, a number, a missing
field), then a list of words, a regular expression, and a mix. Python LFs are written to be quick
(the text is lowered once, patterns are compiled before), which favours Snorkel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, cast

from tidegauge_probes.labeling.templates import TemplateSpec

ABSTAIN, HAM, SPAM = -1, 0, 1
CLASSES: Final = ("HAM", "SPAM")

Function = Callable[[Any], int]
Condition = dict[str, Any]


@dataclass(frozen=True)
class Twin:
    """One labeling function in both forms."""

    name: str
    label: int
    condition: Mapping[str, Any]
    python: FunctionType

    def template(self) -> TemplateSpec:
        """Return the template."""
        return TemplateSpec.model_validate(
            {"name": self.name, "label": CLASSES[self.label], **self.condition}
        )

    def without_source(self) -> Function:
        """Return the function as if it had been made at a prompt: nobody can read its source."""
        code = self.python.__code__.replace(co_filename="<no file>")
        f = self.python
        return FunctionType(code, f.__globals__, f.__name__, f.__defaults__, f.__closure__)


# fmt: off
_WORDS: Final = (
    "vicodin", "meeting", "winner", "refund", "free", "thanks", "prescription", "agenda", "claim",
    "headphones", "pharmacy", "colleague", "earn", "courier", "subscribe", "budget", "cash",
    "onboarding", "genuine", "chorus", "http://", "monday", "viagra", "mountains", "followers",
    "verse", "discount", "proposal", "save%", "bridge", "password", "invoice", "shipping",
    "village", "click", "unsubscribe", "reply", "grandma", "urgent", "lottery",
)
# fmt: on
_LISTS: Final = (
    ("prize", "winner", "claim", "lottery", "jackpot"),
    ("agenda", "minutes", "proposal", "roadmap", "slides", "notes"),
    ("pills", "vicodin", "cialis", "viagra", "oxycontin", "pharmacy"),
    ("chorus", "verse", "drum", "bass", "louder"),
    ("credit", "loan", "debt", "interest", "mortgage", "refinance"),
    ("parcel", "courier", "delivery", "tracking"),
    ("snow", "lake", "coast", "mountains", "thunderstorm"),
    ("subscribe", "followers", "channel", "views"),
    ("login", "browser", "upload", "export", "spreadsheet"),
    ("bitcoin", "crypto", "wallet", "invest"),
)
_PATTERNS: Final = (
    r"https?://\S+",
    r"check.*out",
    r"\b\d{1,2}:\d\d\b",
    r"\$\s?\d+(\.\d\d)?",
    r"\b(save|earn|win)\b.{0,20}\d",
    r"\d+\s?%\s+off",
    r"(mon|tues|wednes|thurs|fri)day at",
    r"\bno (prescription|credit check|fee)s?\b",
    r"(please|kindly) (read|check|send|sign)",
    r"[!?]{2,}",
)
_SIMPLE: Final = 4
_KINDS: Final = 10


def labeling_functions(count: int) -> list[Twin]:
    """Return *count* labeling functions, no two alike, 70 % of them simple."""
    return [_twin(n) for n in range(count)]


def _twin(n: int) -> Twin:
    group, kind = divmod(n, _KINDS)
    label = n % 2
    if kind < _SIMPLE:
        condition, python = _word(_variant(_WORDS, group * _SIMPLE + kind), label)
    else:
        make = (_length, _number, _author, _any_word, _regex, _mix)[kind - _SIMPLE]
        condition, python = make(group, label)
    return Twin(f"lf_{n}", label, condition, cast("FunctionType", python))


def _variant(words: tuple[str, ...] | list[str], n: int) -> str:
    """Return word *n*; beyond the list, a word with a suffix that seldom occurs."""
    again, place = divmod(n, len(words))
    return words[place] + "s" * again


def _word(word: str, label: int) -> tuple[Condition, Function]:
    def lf(x: Any) -> int:
        return label if word in x.text.lower() else ABSTAIN

    return {"keyword": {"any": [word]}}, lf


def _length(group: int, label: int) -> tuple[Condition, Function]:
    characters, words = 180 + 10 * group, 70 - group

    def by_characters(x: Any) -> int:
        return label if len(x.text) < characters else ABSTAIN

    def by_words(x: Any) -> int:
        return label if len(x.text.split()) > words else ABSTAIN

    if group % 2:
        return {"length": {"unit": "words", "above": words}}, by_words
    return {"length": {"below": characters}}, by_characters


def _number(group: int, label: int) -> tuple[Condition, Function]:
    low, high = 0.5 + 0.04 * group, 0.6 + 0.04 * group

    def links(x: Any) -> int:
        return label if x.links > group else ABSTAIN

    def score(x: Any) -> int:
        return label if low <= x.score < high else ABSTAIN

    if group % 2:
        return {"numeric": {"field": "score", "at_least": low, "below": high}}, score
    return {"numeric": {"field": "links", "above": group}}, links


def _author(group: int, label: int) -> tuple[Condition, Function]:
    def missing(x: Any) -> int:
        return label if x.author is None or not x.author else ABSTAIN

    def bounded(x: Any) -> int:
        return label if x.links == group else ABSTAIN

    if group:
        return {"numeric": {"field": "links", "equals": group}}, bounded
    return {"missing": {"field": "author"}}, missing


def _any_word(group: int, label: int) -> tuple[Condition, Function]:
    words = [_variant([word], group // len(_LISTS)) for word in _LISTS[group % len(_LISTS)]]

    def lf(x: Any) -> int:
        text = x.text.lower()
        return label if any(word in text for word in words) else ABSTAIN

    return {"keyword": {"any": words}}, lf


def _regex(group: int, label: int) -> tuple[Condition, Function]:
    pattern = _variant(_PATTERNS, group)
    search = re.compile(pattern, re.IGNORECASE).search

    def lf(x: Any) -> int:
        return label if search(x.text) else ABSTAIN

    return {"regex": {"pattern": pattern}}, lf


def _mix(group: int, label: int) -> tuple[Condition, Function]:
    word = _variant(_WORDS, 3 * group + 1)
    links = group % 3
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search

    def both(x: Any) -> int:
        return label if word in x.text.lower() and x.links > links else ABSTAIN

    def neither(x: Any) -> int:
        return label if not (whole(x.text.lower()) or x.links > links) else ABSTAIN

    keyword = {"keyword": {"any": [word]}}
    number = {"numeric": {"field": "links", "above": links}}
    if group % 2:
        keyword["keyword"] |= {"whole_word": True}  # type: ignore[dict-item]
        return {"not": {"any": [keyword, number]}}, neither
    return {"all": [keyword, number]}, both
