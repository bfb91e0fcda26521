"""How the budget is shared among the series."""

from __future__ import annotations

import numpy as np
import pytest

from tidegauge_probes.drift.budget import weights
from tidegauge_probes.drift.significance import off
from tidegauge_probes.findings import SeriesKey, SeriesKind

COVERAGE = [SeriesKey(SeriesKind.COVERAGE, probe=f"lf{j}") for j in range(15)]
PAIRS = [SeriesKey(SeriesKind.CO_VOTE, probe="a", other=f"b{j}") for j in range(684)]
BLIND = SeriesKey(SeriesKind.BLIND_SPOT)


def test_what_matters_most_is_not_crowded_out_by_what_is_many() -> None:
    """With 700 series each of 15 LFs has 19 times its equal share."""
    found = weights([BLIND, *COVERAGE, *PAIRS])
    assert found.mean() == pytest.approx(1)
    assert found[0] == pytest.approx(0.15 * 700)
    assert found[1:16] == pytest.approx(0.40 * 700 / 15)
    assert found[16:] == pytest.approx(0.45 * 700 / 684)


def test_the_share_of_what_is_missing_goes_to_the_others() -> None:
    assert weights(COVERAGE) == pytest.approx(1)
    two = weights([BLIND, *COVERAGE])
    assert two.mean() == pytest.approx(1)
    assert two[0] * 1 / (two[1] * 15) == pytest.approx(0.15 / 0.40)


def test_segments_are_of_the_rest() -> None:
    keys = [BLIND, SeriesKey(SeriesKind.BLIND_SPOT, "country=DE"), *COVERAGE]
    assert weights(keys)[1] == pytest.approx(0.45 * 17)


def test_the_chance_of_any_false_alarm_is_the_budgets() -> None:
    """Weighted p-values of independent quiet series, 20,000 windows, 10 in 1,000."""
    rng = np.random.default_rng(1)
    weight = weights([BLIND, *COVERAGE, *PAIRS[:84]])
    yes = np.ones(100, dtype=np.bool_)
    opened = sum(off(row / weight, yes, yes, 0.01).any() for row in rng.uniform(size=(20_000, 100)))
    assert 150 <= opened <= 250
