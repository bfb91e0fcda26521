"""Crowd workers as LFs, beside LFs over the text: is the weather praised in it?"""

from __future__ import annotations

import random
from typing import Any

from tests.parity.tutorials.kit import Kit

CLASSES = ("NEGATIVE", "POSITIVE")
ABSTAIN, NEGATIVE, POSITIVE = -1, 0, 1

WORKERS = 10
SKIES = [
    "sun at last",
    "rain again",
    "so cold",
    "warm and dry",
    "grey",
    "what a storm",
    "sun, rain",
]


def records(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {"tweet_id": n, "text": rng.choice(SKIES) + rng.choice(["", " :)", " :("])}
        for n in range(count)
    ]


def answers(count: int = 5_000) -> dict[int, dict[int, int]]:
    """Give what each worker said of which tweet; the last one is hardly there."""
    rng = random.Random(7)
    return {
        worker: {
            n: rng.choice([NEGATIVE, POSITIVE])
            for n in range(count)
            if rng.random() < (0.02 if worker == WORKERS - 1 else 0.3)
        }
        for worker in range(WORKERS)
    }


def worker_lf(x: Any, worker_dict: dict[int, int]) -> int:
    return worker_dict.get(x.tweet_id, ABSTAIN)


def lfs(kit: Kit) -> list[Any]:
    def make_worker_lf(worker: int, said: dict[int, int]) -> Any:
        return kit.LabelingFunction(
            f"worker_{worker}", f=worker_lf, resources={"worker_dict": said}
        )

    @kit.preprocessor(memoize=True)
    def tone(x: Any) -> Any:
        x.tone = x.text.count(":)") - x.text.count(":(") + ("sun" in x.text)
        return x

    @kit.labeling_function(pre=[tone])
    def smiles(x: Any) -> int:
        return POSITIVE if x.tone > 0 else ABSTAIN

    @kit.labeling_function(pre=[tone])
    def frowns(x: Any) -> int:
        return NEGATIVE if x.tone < 0 else ABSTAIN

    return [
        *(make_worker_lf(worker, said) for worker, said in answers().items()),
        smiles,
        frowns,
    ]
