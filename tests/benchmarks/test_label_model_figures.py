"""The label-model benchmark end to end, very small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.label_model import experiments, figures, triplets
from benchmarks.label_model.votes import ABSTAIN, Sample, real, simulated

SEED = 3


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WINDOWS": 2, "SIZES": (500,), "GOLD": (100,), "DRAWS": 1}.items():
        monkeypatch.setattr(experiments, name, value)
    monkeypatch.setattr(experiments, "BROKEN", (2_000, 4_000))


def test_a_tie_is_right_by_chance() -> None:
    votes = np.array([[0, 1], [1, 1], [ABSTAIN, 0]], dtype=np.int8)
    truth = np.array([0, 1, 1])
    sample = Sample("three", votes, truth, np.ones(3, np.bool_), 2)
    assert experiments.accuracy(experiments.majority(sample), truth) == pytest.approx(0.5)
    assert experiments.accuracy(experiments.rarer(sample), truth) == pytest.approx(2 / 3)


def test_without_the_folder_there_are_no_real_sets(tmp_path: Path) -> None:
    assert real(tmp_path) == []


@pytest.mark.usefixtures("small")
def test_everything_is_figures_and_a_page(tmp_path: Path) -> None:
    worlds = [s for s in simulated(SEED, 3_000) if s.name in {"independent", "guesses"}]
    sets: dict[str, Any] = {
        sample.name: {
            **experiments.labels(sample),
            "shares": experiments.shares(sample),
            "gold": experiments.gold(sample),
            "changes": experiments.changes(sample, SEED),
        }
        for sample in worlds
    }
    assert sets["guesses"]["kind"] == "majority"
    assert sets["guesses"]["shares"]["tidegauge"] is None
    cost = {"independent": {"Dawid–Skene": 0.3, "tidegauge": 0.6, "ratio": 2.0}}
    peers = {"snorkel": {"independent": 0.8}, "crowd-kit": {"error": "no wheel"}}
    found: dict[str, Any] = {"seed": SEED, "draws": 1, "real": []}
    found |= {"sets": sets, "costs": cost, "peers": peers}
    figures.write(json.loads(json.dumps(found)), tmp_path)
    page = (tmp_path / figures.PAGE).read_text()
    assert "| guesses | majority |" in page
    assert "withheld" in page
    assert "crowd-kit's Dawid–Skene: no wheel" in page
    assert "No real data set was available" in page


def test_triplets_find_how_right_each_lf_is() -> None:
    rng = np.random.default_rng(SEED)
    truth = rng.choice((-1.0, 1.0), 20_000)
    right = np.array([0.9, 0.8, 0.7, 0.6])
    signs = truth[:, None] * np.where(rng.random((20_000, 4)) < right, 1.0, -1.0)
    signs[rng.random(signs.shape) < 0.4] = 0.0
    assert triplets.accuracies(signs) == pytest.approx(2 * right - 1, abs=0.05)
