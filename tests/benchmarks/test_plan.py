"""What is planned comes true on made traffic: the benchmark of `tidegauge plan`, in small."""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np
import pytest

from benchmarks import plan
from benchmarks.detection.traffic import seeded

SEED = 11


def test_planned_shifts_are_found_when_they_should_be() -> None:
    scene = partial(plan.made, "overdispersed", 1_000)
    found = [
        planted
        for run in range(8)
        for case, some in plan.of_scene(scene(SEED, run), only="1 day").items()
        for planted in some
    ]
    assert len(found) > 50
    assert {one.planned for one in found} == {24}
    figures = plan.figures(found)
    assert 0.75 <= figures["ratio"] <= 1.25
    assert 0.4 <= figures["found_in_time"] <= 0.7


def test_votes_are_thinned_or_added_at_the_ratio() -> None:
    rng = seeded(SEED)
    votes = np.where(rng.random((20_000, 2)) < 0.1, 1, -1).astype(np.int8)
    for ratio in (0.5, 2.0):
        after = plan._shifted(seeded(SEED, str(ratio)), votes, 0, ratio, 0.1)
        assert np.mean(after[:, 0] >= 0) / np.mean(votes[:, 0] >= 0) == pytest.approx(
            ratio, rel=0.05
        )
        assert (after[:, 1] == votes[:, 1]).all()


def test_a_scene_is_the_same_for_a_seed() -> None:
    one, again = (plan.made("season", 200, SEED, 0) for _ in range(2))
    assert one.baseline.x.tolist() == again.baseline.x.tolist()
    first, second = (
        [counts.x.tolist() for _, counts in islice(scene.planted(3, 1.4), 3)]  # type: ignore[attr-defined]
        for scene in (one, again)
    )
    assert first == second
