"""Which of two things in a picture rides, carries or is near the other: boxes, not text."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.parity.tutorials.kit import Kit

CLASSES = ("RIDE", "CARRY", "OTHER")
ABSTAIN, RIDE, CARRY, OTHER = -1, 0, 1, 2

RIDDEN = {"horse", "bike", "bus"}
CARRIED = {"bag", "umbrella"}


def records(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    categories = [*sorted(RIDDEN | CARRIED), "person", "tree"]
    return [
        {
            "subject_category": rng.choice(["person", "person", rng.choice(categories)]),
            "object_category": rng.choice(categories),
            "subject_box": _box(rng),
            "object_box": _box(rng),
            "source": SimpleNamespace(width=640, height=rng.choice([360, 480])),
        }
        for _ in range(count)
    ]


def _box(rng: random.Random) -> Any:
    top, left = rng.randint(0, 300), rng.randint(0, 500)
    return np.array([top, top + rng.randint(5, 160), left, left + rng.randint(5, 120)])


def area(box: Any) -> int:
    return int((box[1] - box[0]) * (box[3] - box[2]))


def lfs(kit: Kit) -> list[Any]:  # noqa: C901  (many small LFs)
    class Geometry(kit.Preprocessor):  # type: ignore[misc, name-defined]
        """Its parameters name the fields that it reads."""

        def __init__(self) -> None:
            super().__init__("geometry", memoize=False)

        def run(self, subject_box: Any, object_box: Any) -> dict[str, Any]:
            apart = np.abs(subject_box - object_box)
            return {"apart": int(apart.sum()), "above": bool(subject_box[0] < object_box[0])}

    geometry = Geometry()

    @kit.labeling_function()
    def ridden(x: Any) -> int:
        if x.subject_category == "person" and x.object_category in RIDDEN:
            return RIDE
        return ABSTAIN

    @kit.labeling_function(resources={"things": CARRIED})
    def carried(x: Any, things: set[str]) -> int:
        return CARRY if x.subject_category == "person" and x.object_category in things else ABSTAIN

    @kit.labeling_function()
    def not_a_person(x: Any) -> int:
        return OTHER if x.subject_category != "person" else ABSTAIN

    @kit.labeling_function(pre=[geometry])
    def far_apart(x: Any) -> int:
        return OTHER if x.apart > 600 else ABSTAIN

    @kit.labeling_function(pre=[geometry])
    def on_top(x: Any) -> int:
        return RIDE if x.above and x.apart < 300 else ABSTAIN

    @kit.labeling_function(pre=[geometry])
    def below(x: Any) -> int:
        return CARRY if not x.above and x.apart < 250 else ABSTAIN

    @kit.labeling_function()
    def sizes(x: Any) -> int:
        mine, other = area(x.subject_box), area(x.object_box)
        if mine > 4 * other:
            return CARRY
        return RIDE if other > 4 * mine else ABSTAIN

    @kit.labeling_function()
    def at_the_edge(x: Any) -> Any:
        # A numpy truth value times a class.
        return np.where(x.subject_box[1] > x.source.height - 60, OTHER, ABSTAIN).item()

    @kit.labeling_function()
    def all_votes(x: Any) -> int:
        return int(x.subject_box.sum()) % 4 - 1

    return [ridden, carried, not_a_person, far_apart, on_top, below, sizes, at_the_edge, all_votes]
