"""LFs whose ids must not depend on the version of Python (test_id_on_any_python.py)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag, auto
from functools import lru_cache, wraps
from typing import Any, NamedTuple, Protocol

import numpy as np

from tidegauge_probes import LabelingFunction, labeling_function, preprocessor


class Label(Enum):
    HAM = 0
    SPAM = 1


class Mark(Flag):
    BOLD = auto()
    LINK = auto()


@dataclass(frozen=True, slots=True)
class Bounds:
    least: int = 3


class Point(NamedTuple):
    x: int
    y: int


class Scorer(Protocol):
    def score(self, text: str) -> float: ...


class Lengths(Scorer):
    def score(self, text: str) -> float:
        return math.sqrt(len(text))


LOUD = Mark.BOLD | Mark.LINK
BOUNDS = Bounds()
ORIGIN = Point(0, 0)
SCORER = Lengths()
WEIGHTS = np.array([0.5, 2.0])
PRICE = Decimal("9.90")
SEARCHES = {"free": re.search, "whole": re.fullmatch}


@lru_cache
def length(text: str) -> int:
    return len(text)


def once(f: Any) -> Any:
    @wraps(f)
    def wrapper(x: Any) -> Any:
        return f(x)

    return wrapper


@preprocessor()
def lowered(x: Any) -> Any:
    x.lower = x.text.lower()
    return x


@labeling_function(pre=[lowered], resources={"words": {"prize", "winner", "cash"}})
def resources(x: Any, words: set[str]) -> int:
    return 1 if any(word in x.lower for word in words) else -1


@once
def wrapped(x: Any) -> int:
    return 1 if [word for word in x.text.split() if word.isupper()] else -1


PYTHON = {
    "enum": LabelingFunction("lf", lambda x: 1 if x.label == Label.SPAM else -1),
    "flag": LabelingFunction("lf", lambda x: 1 if x.marks & LOUD else -1),
    "dataclass": LabelingFunction("lf", lambda x: 1 if len(x.text) < BOUNDS.least else -1),
    "class": LabelingFunction("lf", lambda x: 1 if len(x.text) < Bounds().least else -1),
    "tuple": LabelingFunction("lf", lambda x: 1 if x.at == ORIGIN else -1),
    "protocol": LabelingFunction("lf", lambda x: 1 if SCORER.score(x.text) > 2 else -1),
    "array": LabelingFunction("lf", lambda x: 1 if WEIGHTS.sum() > x.weight else -1),
    "decimal": LabelingFunction("lf", lambda x: 1 if x.price < PRICE else -1),
    "search": LabelingFunction("lf", lambda x: 1 if SEARCHES["free"]("free", x.text) else -1),
    "cached": LabelingFunction("lf", lambda x: 1 if length(x.text) > 9 else -1),
    "wrapped": LabelingFunction("lf", wrapped),
    "resources": resources,
}
