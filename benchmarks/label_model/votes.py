"""Votes whose truth is known: other people's LFs where they are at hand, and simulated worlds."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Votes = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

ABSTAIN: Final = -1
REAL: Final = ("sms", "trec", "hausa")
RECORDS: Final = 12_000


@dataclass(frozen=True, eq=False)
class Sample:
    """``votes``: int8 [n, m]; ``truth``: int64 [n]; ``train``: bool [n], rows to fit from."""

    name: str
    votes: Votes
    truth: Ints
    train: npt.NDArray[np.bool_]
    classes: int

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Rows with a vote, bool [n]."""
        return np.asarray((self.votes >= 0).any(axis=1))


def real(folder: Path | None) -> list[Sample]:
    """Return the sets that are in the folder of real data; none if there is no such folder."""
    named = os.environ.get("TIDEGAUGE_DATA") if folder is None else str(folder)
    if named is None:
        return []
    place = Path(named) / "lf_votes"
    return [_read(place, name) for name in REAL if (place / f"{name}.meta.json").exists()]


def _read(folder: Path, name: str) -> Sample:
    meta = json.loads((folder / f"{name}.meta.json").read_text(encoding="utf-8"))
    with gzip.open(folder / f"{name}.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    return Sample(
        name,
        np.array([row["votes"] for row in rows], dtype=np.int8),
        np.array([row["label"] for row in rows]),
        np.array([row["split"] == "train" for row in rows]),
        len(meta["labels"]),
    )


def unipolar(rng: Rng, y: Ints, lfs: int, mix: Floats, coverage: tuple[float, float]) -> Votes:
    """Return votes of LFs for one class each, right on .65 to .95 of them."""
    votes = np.full((len(y), lfs), ABSTAIN, dtype=np.int8)
    for i in range(lfs):
        own, right, covered = i % len(mix), rng.uniform(0.65, 0.95), rng.uniform(*coverage)
        chance = np.where(
            y == own, covered * right / mix[own], covered * (1 - right) / (1 - mix[own])
        )
        votes[rng.random(len(y)) < np.minimum(chance, 1), i] = own
    return votes


def bipolar(rng: Rng, y: Ints, rights: Floats, coverage: float) -> Votes:
    """Return votes of LFs that name either class, right so often."""
    right = rng.random((len(y), len(rights))) < rights
    votes = np.where(right, y[:, None], 1 - y[:, None]).astype(np.int8)
    votes[rng.random(votes.shape) >= coverage] = ABSTAIN
    return votes


World = Callable[[Rng, int], tuple[Ints, Votes, int]]
EVEN, RARE = np.array([0.6, 0.4]), np.array([0.95, 0.05])


def _independent(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y = rng.choice(2, n, p=EVEN)
    return y, unipolar(rng, y, 20, EVEN, (0.05, 0.15)), 2


def _unbalanced(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y = rng.choice(2, n, p=RARE)
    return y, bipolar(rng, y, rng.uniform(0.7, 0.9, 10), 0.4), 2


def _five(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    mix = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
    y = rng.choice(5, n, p=mix)
    return y, unipolar(rng, y, 25, mix, (0.05, 0.1)), 5


def _blind_spot(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y, votes, k = _independent(rng, n)
    votes[rng.random(n) < 0.5] = ABSTAIN
    return y, votes, k


def _activity(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    """Some records wake many LFs, others few."""
    y, votes, k = _independent(rng, n)
    votes[rng.random(votes.shape) < rng.beta(0.5, 0.5, (n, 1))] = ABSTAIN
    return y, votes, k


def _copies(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y, votes, k = _independent(rng, n)
    votes[:, [2, 4, 6]] = votes[:, [0]]
    return y, votes, k


def _adversarial(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y = rng.choice(2, n, p=EVEN)
    return y, bipolar(rng, y, np.array([0.2, 0.7, 0.75, 0.8, 0.8, 0.85]), 0.5), 2


def _one_each(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    mix = np.array([0.4, 0.35, 0.25])
    y = rng.choice(3, n, p=mix)
    return y, unipolar(rng, y, 3, mix, (0.3, 0.4)), 3


def _guesses(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    y = rng.choice(2, n, p=EVEN)
    return y, bipolar(rng, y, np.full(8, 0.5), 0.3), 2


def _rare_and_blind(rng: Rng, n: int) -> tuple[Ints, Votes, int]:
    """One class in a hundred, and half of the traffic that wakes no LF."""
    y = rng.choice(2, n, p=[0.99, 0.01])
    votes = bipolar(rng, y, rng.uniform(0.75, 0.95, 10), 0.3)
    votes[rng.random(n) < 0.5] = ABSTAIN
    return y, votes, 2


WORLDS: Final[Mapping[str, World]] = {
    "independent": _independent,
    "unbalanced": _unbalanced,
    "five classes": _five,
    "adversarial LF": _adversarial,
    "blind spot": _blind_spot,
    "activity": _activity,
    "copies": _copies,
    "one LF a class": _one_each,
    "guesses": _guesses,
    "rare, half blind": _rare_and_blind,
}


def simulated(seed: int, records: int = RECORDS) -> list[Sample]:
    """Return one sample of each world."""
    found = []
    for place, (name, world) in enumerate(WORLDS.items()):
        truth, votes, classes = world(np.random.default_rng([seed, place]), records)
        found.append(Sample(name, votes, truth, np.ones(records, np.bool_), classes))
    return found
