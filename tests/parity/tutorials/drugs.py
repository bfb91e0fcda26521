"""Listings of a marketplace: prescription drug, supplement or neither. Three classes."""

from __future__ import annotations

import random
import re
from enum import IntEnum
from typing import Any

import numpy as np

from tests.parity.tutorials.kit import Kit


class Kind(IntEnum):
    OTHER = 0
    SUPPLEMENT = 1
    DRUG = 2


CLASSES = ("OTHER", "SUPPLEMENT", "DRUG")
ABSTAIN = -1

STRENGTH = re.compile(r"\b(\d+)\s?(mg|mcg)\b")
TITLES = [
    "Vicodin 500 mg, 30 pills",
    "oxycontin 40mg no prescription",
    "Vitamin C 1000 mg chewable",
    "Fish oil, natural, 90 capsules",
    "garden chair, green",
    "book about herbs",
    "Herbal tea 50 bags",
    "xanax bars",
]


def records(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "title": rng.choice(TITLES) + rng.choice(["", " SALE", ", discreet shipping"]),
            "price": round(rng.uniform(2, 300), 2),
            "seller": {"country": rng.choice(["NL", "CN", "US"]), "sold": rng.randint(0, 5_000)},
            "tags": rng.sample(["health", "rx", "vegan", "home", "bulk"], k=rng.randint(0, 3)),
            "reviews": np.array([rng.randint(1, 5) for _ in range(rng.randint(0, 6))]),
        }
        for _ in range(count)
    ]


class NamesOf:
    """A callable object as the function of an LF: state beside code."""

    def __init__(self, names: frozenset[str], kind: Kind) -> None:
        self.names = names
        self.kind = kind

    def __call__(self, x: Any) -> int:
        return self.kind if self.names & set(re.findall(r"[a-z]+", x.title.lower())) else ABSTAIN

    def votes_for_bulk(self, x: Any) -> int:
        return self.kind if "bulk" in x.tags else ABSTAIN


def lfs(kit: Kit) -> list[Any]:  # noqa: C901  (many small LFs)
    @kit.preprocessor()
    def lowered(x: Any) -> Any:
        x.title = x.title.lower()
        return x

    @kit.preprocessor(pre=[lowered], memoize=True, memoize_key=lambda x: (x.title, x.price))
    def strength(x: Any) -> Any:
        found = STRENGTH.search(x.title)
        x.strength = int(found[1]) if found else None
        return x

    @kit.labeling_function(pre=[strength])
    def strong(x: Any) -> int:
        return Kind.DRUG if x.strength is not None and x.strength < 501 else ABSTAIN

    @kit.labeling_function(pre=[strength])
    def by_weight(x: Any) -> int:
        return ABSTAIN if x.strength is None else Kind.SUPPLEMENT

    @kit.labeling_function(pre=[lowered])
    def no_prescription(x: Any) -> int:
        return Kind.DRUG if "no prescription" in x.title or "discreet" in x.title else ABSTAIN

    @kit.labeling_function(resources={"words": ["vitamin", "herbal", "fish oil"]}, pre=[lowered])
    def natural(x: Any, words: list[str]) -> int:
        return Kind.SUPPLEMENT if any(word in x.title for word in words) else ABSTAIN

    @kit.labeling_function()
    def tagged(x: Any) -> int:
        if "rx" in x.tags:
            return Kind.DRUG
        if "vegan" in x.tags:
            return Kind.SUPPLEMENT
        return Kind.OTHER if "home" in x.tags else ABSTAIN

    @kit.labeling_function()
    def big_seller(x: Any) -> int:
        return Kind.OTHER if x.seller["sold"] > 4_000 and x.seller["country"] == "NL" else ABSTAIN

    @kit.labeling_function()
    def loved(x: Any) -> Any:
        # A numpy integer, or a plain one.
        return np.int64(Kind.SUPPLEMENT) if x.reviews.size and x.reviews.mean() > 4 else ABSTAIN

    @kit.labeling_function()
    def dear(x: Any, limit: float = 250.0) -> int:
        return Kind.DRUG if x.price > limit else ABSTAIN

    @kit.labeling_function()
    def dosage_form(x: Any) -> int:
        match x.title.lower().split(",")[-1].split()[-1:]:
            case ["pills"]:
                return Kind.DRUG
            case ["capsules" | "chewable"]:
                return Kind.SUPPLEMENT
            case _:
                return ABSTAIN

    bulk = NamesOf(frozenset(), Kind.DRUG)
    return [
        strong,
        by_weight,
        no_prescription,
        natural,
        tagged,
        big_seller,
        loved,
        dear,
        dosage_form,
        kit.LabelingFunction("brands", NamesOf(frozenset({"vicodin", "xanax"}), Kind.DRUG)),
        kit.LabelingFunction("household", NamesOf(frozenset({"chair", "book"}), Kind.OTHER)),
        kit.LabelingFunction("bulk", bulk.votes_for_bulk),
    ]
