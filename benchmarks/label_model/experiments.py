"""What the label model says of votes, against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from benchmarks._timing import QUICK, Contestant, race
from benchmarks.label_model import triplets
from benchmarks.label_model.votes import ABSTAIN, EVEN, Floats, Ints, Sample, Votes, unipolar
from tidegauge_probes.counts.panes import fold
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.label_model import LabelModel, LabelModelKind, dawid_skene, fit, precision
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import VoteMatrix

WINDOWS: Final = 4 if QUICK else 40
SIZES: Final = (500, 2_000, 10_000)
GOLD: Final = (100, 200, 400)
DRAWS: Final = 2 if QUICK else 100
BROKEN: Final = (2_000, 10_000)
ROUNDS: Final = 2 if QUICK else 7

Labels = Callable[[Sample], Floats]


def majority(sample: Sample) -> Floats:
    """Return the votes of each class, float64 [n, K]."""
    counted = [(sample.votes == k).sum(axis=1) for k in range(sample.classes)]
    return np.stack(counted, axis=1).astype(np.float64)


def rarer(sample: Sample) -> Floats:
    """Return the same, where a tie goes to the class with the fewer votes."""
    found = majority(sample)
    return np.asarray(found - 1e-6 * found.sum(axis=0) / max(found.sum(), 1))


def old(sample: Sample) -> Floats:
    """Return what Dawid-Skene says that takes an abstain for a symbol, whatever the votes."""
    try:
        model = dawid_skene.fit(sample.votes[sample.train], sample.classes)
    except BaselineError:
        return majority(sample)
    return model.posterior(sample.votes)


def ours(sample: Sample) -> Floats:
    """Return what tidegauge's model says, of the kind that the votes allow."""
    return fit(sample.votes[sample.train], sample.classes).posterior(sample.votes)


MODELS: Final[Mapping[str, Labels]] = {
    "majority": majority,
    "ties to the rarer class": rarer,
    "Dawid–Skene": old,
    "FlyingSquid's closed form": triplets.scores,
    "tidegauge": ours,
}


def accuracy(scores: Floats, truth: Ints) -> float:
    """Return how often the largest score is right; a tie is right by chance."""
    most = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    return float((most[np.arange(len(truth)), truth] / most.sum(axis=1)).mean())


def labels(sample: Sample) -> dict[str, Any]:
    """Return the kind, and the accuracy of each model on covered records."""
    kind = fit(sample.votes[sample.train], sample.classes).kind
    c = sample.covered
    scores = {name: model(sample)[c] for name, model in MODELS.items()}
    rows = {name: round(accuracy(found, sample.truth[c]), 4) for name, found in scores.items()}
    return {"kind": str(kind), "records": len(c), "lfs": sample.votes.shape[1], "right": rows}


def shares(sample: Sample) -> dict[str, Any]:
    """Return the largest error of the class shares that are told, and of the old model's."""
    truth = np.bincount(sample.truth, minlength=sample.classes) / len(sample.truth)
    model = fit(sample.votes[sample.train], sample.classes)
    try:
        before = dawid_skene.fit(sample.votes[sample.train], sample.classes).prior
        old_error: float | None = round(float(np.abs(before - truth).max()), 3)
    except BaselineError:
        old_error = None
    told = float(np.abs(model.prior - truth).max()) if model.shares_known else None
    return {
        "Dawid–Skene": old_error,
        "tidegauge": None if told is None else round(told, 3),
        "shown": int((~np.isnan(model.shown)).sum()) if model.levels else 0,
        **_precision(sample, model),
    }


def _precision(sample: Sample, model: LabelModel) -> dict[str, Any]:
    """Return the error of the precisions, and how often the interval holds the truth."""
    shown = model.shown
    off, inside = [], []
    for i, k in np.argwhere(~np.isnan(shown)):
        truth = float((sample.truth[sample.votes[:, i] == k] == k).mean())
        off.append(abs(shown[i, k] - truth))
        sd = float(model.sd[i * sample.classes + k])
        inside.append(off[-1] <= 1.96 * sd)
    if not off:
        return {"precisions": 0}
    return {
        "precisions": len(off),
        "precision_error": round(float(np.mean(off)), 3),
        "inside": round(float(np.mean(inside)), 3),
    }


def changes(sample: Sample, seed: int) -> dict[str, Any]:
    """Return the false changes on windows of the half that was not fitted, and found ones."""
    rng = np.random.default_rng(seed)
    judged = changed = 0
    largest = 0.0
    for half in (0, 1):
        model = fit(sample.votes[half::2], sample.classes)
        for size in SIZES:
            for _ in range(WINDOWS // 2):
                rows = rng.integers(0, len(sample.votes[1 - half :: 2]), size)
                found = _of(model, sample.votes[1 - half :: 2][rows])
                judged += int(found.judged.sum())
                changed += int(found.changed.sum())
                largest = max(largest, float(np.nan_to_num(found.off).max(initial=0.0)))
    return {
        "lf_windows": judged,
        "changed": changed,
        "largest_z": round(largest, 2),
        "found": _found(sample, rng),
    }


def _of(model: LabelModel, votes: Votes) -> precision.Precision:
    matrix = VoteMatrix(votes, np.empty((len(votes), 0), np.bool_), np.zeros(votes.shape[1]))
    return precision.of_window(model, PairCounts.of(fold(matrix, model.classes, {})))


def _found(sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
    """Return how many LFs are found that vote as often and are right on .6 only, by window size."""
    model = fit(sample.votes[::2], sample.classes)
    if model.kind is LabelModelKind.MAJORITY:
        return {}
    out: dict[str, Any] = {}
    for size in BROKEN:
        tried = hits = others = 0
        for i, k in _usable(sample):
            votes, truth = _drawn(sample, rng, size)
            votes = _at(rng, votes, truth, (int(i), int(k)), 0.6)
            found = _of(model, votes)
            tried += 1
            hits += int(found.changed[i, k])
            others += int(found.changed.sum() - found.changed[i, k])
        out[str(size)] = {"tried": tried, "found": hits, "others": others}
    return out


def _usable(sample: Sample) -> Ints:
    """Return (LF, class) of votes on a fiftieth of the records that are right on .75 or more."""
    kept = []
    for i in range(sample.votes.shape[1]):
        for k in range(sample.classes):
            cast = sample.votes[:, i] == k
            if cast.mean() >= 0.02 and (sample.truth[cast] == k).mean() >= 0.75:
                kept.append((i, k))
    return np.array(kept[: 4 if QUICK else 20], dtype=np.int64).reshape(-1, 2)


def _drawn(sample: Sample, rng: np.random.Generator, size: int) -> tuple[Votes, Ints]:
    rows = 1 + 2 * rng.integers(0, len(sample.votes) // 2, size)
    return sample.votes[rows].copy(), sample.truth[rows]


def _at(
    rng: np.random.Generator, votes: Votes, truth: Ints, at: tuple[int, int], right: float
) -> Votes:
    """Return votes where one LF names its class as often, and is right as often as *right*."""
    i, k = at
    cast = int((votes[:, i] == k).sum())
    votes[votes[:, i] == k, i] = ABSTAIN
    mine, others = np.flatnonzero(truth == k), np.flatnonzero(truth != k)
    hits = min(round(cast * right), len(mine))
    votes[rng.choice(mine, hits, replace=False), i] = k
    votes[rng.choice(others, min(cast - hits, len(others)), replace=False), i] = k
    return votes


def gold(sample: Sample) -> dict[str, Any]:
    """Return errors of class shares of all records from labels that are drawn uniformly."""
    truth = np.bincount(sample.truth, minlength=sample.classes) / len(sample.truth)
    out = {}
    for labelled in GOLD:
        off, inside, half = [], [], []
        for draw in range(DRAWS):
            known = _labelled(np.random.default_rng(draw), sample.truth, labelled)
            model = fit(sample.votes, sample.classes, gold=known)
            error = np.abs(model.prior - truth)
            off.append(float(error.max()))
            half.append(1.96 * float(model.prior_sd.max()))
            inside.append(float((error <= 1.96 * model.prior_sd).mean()))
        figures = {"error": np.mean(off), "half_width": np.mean(half), "inside": np.mean(inside)}
        out[str(labelled)] = {name: round(float(x), 3) for name, x in figures.items()}
    return out


def _labelled(rng: np.random.Generator, truth: Ints, labels: int) -> Ints:
    """Return the truth of so many records, others ABSTAIN; labels of one class are drawn again.

    The product refuses them, and asks for records from all traffic.
    """
    while True:
        some = rng.choice(len(truth), labels, replace=False)
        if len(np.unique(truth[some])) > 1:
            known = np.full(len(truth), ABSTAIN)
            known[some] = truth[some]
            return known


def costs(seed: int) -> dict[str, Any]:
    """Return seconds of fitting 100,000 records of 50 LFs, as ratio to plain Dawid-Skene."""
    rng = np.random.default_rng(seed)
    n = 10_000 if QUICK else 100_000
    out: dict[str, Any] = {}
    for name, asleep in (("independent", 0.0), ("half asleep", 0.5)):
        votes = unipolar(rng, rng.choice(2, n, p=EVEN), 50, EVEN, (0.02, 0.2))
        votes[rng.random(n) < asleep] = ABSTAIN
        times = race(_fits(votes), ROUNDS)
        seconds = {who: float(np.median(each.cpu)) * n for who, each in times.items()}
        out[name] = {who: round(s, 2) for who, s in seconds.items()}
        out[name]["ratio"] = round(seconds["tidegauge"] / seconds["Dawid–Skene"], 2)
    return out


def _fits(votes: Votes) -> dict[str, Contestant]:
    def plain(_: int) -> int:
        dawid_skene.fit(votes, 2)
        return len(votes)

    def whole(_: int) -> int:
        fit(votes, 2)
        return len(votes)

    return {"Dawid–Skene": plain, "tidegauge": whole}
