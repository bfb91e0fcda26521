"""The label model on votes of other people's LFs, whose gold labels are known (WRENCH)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.probes.simulated_votes import pane
from tidegauge_probes.label_model import LabelModelKind, fit, precision
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.model import ABSTAIN, Outcomes

Ints = npt.NDArray[np.int64]

KINDS = {
    "sms": LabelModelKind.VOTES,
    "trec": LabelModelKind.VOTES,
    "hausa": LabelModelKind.MAJORITY,  # one LF for each class: every overlap is a conflict
}


def read(folder: Path, name: str) -> tuple[Outcomes, Ints, npt.NDArray[np.bool_], int]:
    """Return votes, true classes, which rows are for training, and the number of classes."""
    votes = folder / "lf_votes"
    meta = json.loads((votes / f"{name}.meta.json").read_text())
    with gzip.open(votes / f"{name}.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    train = np.array([row["split"] == "train" for row in rows])
    outcomes = np.array([row["votes"] for row in rows], dtype=np.int8)
    return outcomes, np.array([row["label"] for row in rows]), train, len(meta["labels"])


def majority(votes: Outcomes, y: Ints, classes: int) -> float:
    """Return how often the majority is right; a tie is right by chance."""
    counted = np.stack([(votes == k).sum(axis=1) for k in range(classes)], axis=1)
    most = counted == counted.max(axis=1, keepdims=True)
    return float((most[np.arange(len(y)), y] / most.sum(axis=1)).mean())


@pytest.mark.parametrize("name", KINDS)
def test_it_is_no_worse_than_the_majoritys_vote(data_dir: Path, name: str) -> None:
    votes, y, train, classes = read(data_dir, name)
    model = fit(votes[train], classes)
    assert model.kind is KINDS[name]
    assert (model.levels, model.shares_known) == (False, False), "no class share is told"
    covered = (votes >= 0).any(axis=1)
    q = model.posterior(votes[covered])
    most = q >= q.max(axis=1, keepdims=True) - 1e-9
    right = (most[np.arange(len(q)), y[covered]] / most.sum(axis=1)).mean()
    assert right >= majority(votes[covered], y[covered], classes) - 0.005


def windows(votes: Outcomes, sizes: tuple[int, ...], each: int) -> Iterator[Outcomes]:
    """Draw windows from rows that were not fitted: nothing drifts in them."""
    rng = np.random.default_rng(1)
    for size in sizes:
        for _ in range(each):
            yield votes[rng.integers(0, len(votes), size)]


@pytest.mark.parametrize("name", ["sms", "trec"])
def test_where_nothing_changed_nothing_is_called_changed(data_dir: Path, name: str) -> None:
    """At most one vote in 1,000 windows of an LF, on the half that was not fitted."""
    votes, _, _, classes = read(data_dir, name)
    judged = changed = 0
    for half in (0, 1):
        model = fit(votes[half::2], classes)
        for window in windows(votes[1 - half :: 2], (500, 2_000, 10_000), 12):
            found = precision.of_window(model, PairCounts.of(pane(window, classes)))
            judged += int(found.judged.sum())
            changed += int(found.changed.sum())
    assert judged > 100
    assert changed <= judged / 1_000


def test_a_broken_lf_is_found(data_dir: Path) -> None:
    """An LF that is right on 9 of 10, and now votes on records of any class."""
    votes, _, _, classes = read(data_dir, "trec")
    model = fit(votes, classes)
    rng = np.random.default_rng(2)
    window = votes[rng.integers(0, len(votes), 10_000)]
    before = precision.of_window(model, PairCounts.of(pane(window, classes)))
    strongest = int(np.nan_to_num(before.strength).max(axis=1).argmax())
    its = int(np.nan_to_num(before.strength)[strongest].argmax())
    cast = np.flatnonzero(window[:, strongest] == its)
    window[cast, strongest] = ABSTAIN
    anywhere = rng.choice(len(window), len(cast), replace=False)
    window[anywhere, strongest] = its
    after = precision.of_window(model, PairCounts.of(pane(window, classes)))
    assert not before.changed.any()
    assert after.changed[strongest, its]


@pytest.mark.parametrize("labels", [200, 400])
@pytest.mark.parametrize("name", KINDS)
def test_gold_labels_tell_the_class_shares(data_dir: Path, name: str, labels: int) -> None:
    """Of six draws, at most one share in ten is off by more than its 95 % interval."""
    votes, y, _, classes = read(data_dir, name)
    truth = np.bincount(y, minlength=classes) / len(y)
    inside, off = list[bool](), list[float]()
    for seed in range(6):
        gold = np.full(len(y), ABSTAIN)
        some = np.random.default_rng(seed).choice(len(y), labels, replace=False)
        gold[some] = y[some]
        model = fit(votes, classes, gold=gold)
        assert model.shares_followed
        inside += (np.abs(model.prior - truth) <= 1.96 * model.prior_sd).tolist()
        off.append(float(np.abs(model.prior - truth).max()))
    assert np.mean(inside) >= 0.9
    assert np.mean(off) < 0.06
