"""The detection benchmark end to end, very small: tidegauge's adapter, tools' adapter, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.detection import copied, experiments, figures, goals, nulls, others, real, traffic
from benchmarks.detection.ours import Tidegauge
from benchmarks.detection.peers import adapters
from benchmarks.detection.scoring import HORIZON
from benchmarks.detection.traffic import RATES, SHIFTS

SEED = 3
LF = 10  # of 5 %


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the experiments as small as can be."""
    for name in ("QUIET_RUNS", "RUNS", "HEADLINE_RUNS", "NULL_RUNS"):
        monkeypatch.setattr(experiments, name, 2)
    kept = ("Student t₃", "all or nothing")
    few = {name: replace(nulls.NULLS[name], calibrations=(48,)) for name in kept}
    monkeypatch.setattr(nulls, "NULLS", few)
    for name, least in {"CALIBRATION": 48, "LIVE": 8, "RUNS": 1, "TIMES": (50,)}.items():
        monkeypatch.setattr(copied, name, least)
    monkeypatch.delenv(real.DATA, raising=False)
    for name, value in {"LIVE": 60, "SIZES": (200,), "BUDGETS": (0.5, 4.0)}.items():
        monkeypatch.setattr(experiments, name, value)


def test_an_lf_that_dies_has_an_alert_in_the_first_window() -> None:
    setting = experiments.Setting(SEED)
    history, live = experiments.shifted(setting, 0, "dead", LF)
    assert experiments.first_alert(history, live, LF, 0.5) == 1
    opened = Tidegauge().alarms(history, live)
    assert opened[experiments.RUN_IN :, LF].all()
    assert not opened[: experiments.RUN_IN].any()


def test_alerts_close_after_recovery() -> None:
    rng = traffic.seeded(SEED, "close")
    world = traffic.world(rng, traffic.CLIMATES["overdispersed"], 336 + 60, 1_000)
    factors = np.concatenate([SHIFTS["dead"](20), np.ones(30)])
    counts = world.shifted(LF, factors).count(rng)
    opened, resolved = Tidegauge().opens_and_closes(counts[:336], counts[336:])
    assert np.flatnonzero(opened[:, LF])[0] == 10
    assert resolved[:, LF].sum() == 1
    assert 30 + 3 <= np.flatnonzero(resolved[:, LF])[0] + 1 <= 30 + 17


@pytest.mark.usefixtures("small")
def test_everything_is_figures_and_a_page(tmp_path: Path) -> None:
    found: dict[str, Any] = {
        "seed": SEED,
        "budget": 0.5,
        "false_alarms": experiments.false_alarms(SEED, 0.5),
        "calibrations": experiments.calibrations(SEED, 0.5),
        "found": experiments.found_table(SEED, 0.5),
        "other_series": experiments.other_series(SEED, 0.5),
        "nulls": experiments.hard_nulls(SEED, 0.5),
        "real": {"nobody's records, 48 windows": experiments.Quiet().as_json()},
        "copies": copied.copies(SEED, 0.5),
        "incidents": experiments.episodes_of_incidents(SEED, 0.5),
        "matched": experiments.matched(SEED, 0.5),
        "peers": {"some tool": {"error": "it does not install"}},
    }
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["false_alarms"] == experiments.false_alarms(SEED, 0.5), "the same for a seed"
    figures.write(again, tmp_path)
    page = (tmp_path / figures.PAGE).read_text()
    assert "it does not install" in page
    for traffic_ in (*traffic.CLIMATES, *nulls.NULLS, "nobody's records"):
        assert traffic_ in page
    assert "## Real records, permuted in time" in page
    assert "made, copies × 50" in page
    assert (tmp_path / figures.TRADE_OFF).read_text().startswith("<svg")
    assert "stress" in (tmp_path / figures.QUIET).read_text()


def test_other_tools_stay_on_the_page_if_they_are_not_run_again(tmp_path: Path) -> None:
    (tmp_path / figures.PAGE).write_text("# Old\n\n## Other tools\n\nevidently 0.7.23\n")
    assert figures._section_of_peers(tmp_path / figures.PAGE).endswith("evidently 0.7.23\n")
    assert not figures._section_of_peers(tmp_path / "none.md")


def test_a_missed_goal_is_named_and_a_met_one_is_not() -> None:
    goal = goals.FOUND["1,000, 5 %"]["+25 %"]
    assert goal == goals.Goal(90, 14)
    missed = {"found": 0.2, "mean_delay": 60.0, "se": 1.0, "runs": 100}
    assert not goals.is_met(missed, goal)
    assert goals.is_met({**missed, "found": 0.92, "mean_delay": 13.0}, goal)
    assert goals.is_met(missed, goals.Goal())


def test_goals_cover_every_cell() -> None:
    names = {f"{n:,}, {c}" for n in experiments.SIZES for c in experiments.NAMES.values()}
    assert set(goals.FOUND) == names
    assert all(set(row) == set(SHIFTS) for row in goals.FOUND.values())


# -- Other tools ------------------------------------------------------------------------------


def test_tools_get_records_with_the_very_counts() -> None:
    rng = np.random.default_rng(1)
    x = np.array([0, 3, 10])
    task = adapters.Task(None, None, None, None, rng)
    votes = task.votes(x, np.full(3, 10))
    assert votes.shape == (10, 3)
    assert votes.sum(axis=0).tolist() == x.tolist()


def test_a_reference_has_the_shares_of_the_history() -> None:
    history = np.array([[10, 500], [30, 500]])
    task = adapters.Task(history, np.full((2, 2), 1_000), history[None], history[None], None)
    assert task.reference_votes().tolist() == [400, 10_000]


def test_shifts_are_spread_over_the_lfs_evenly() -> None:
    found = [others._shift_of(series) for series in range(len(RATES))]
    assert {found.count(shift) for shift in others.MOVED} == {6}


def test_a_tool_that_fails_says_why(tmp_path: Path) -> None:
    python = tmp_path / "popmon" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    python.chmod(0o755)
    work = others.works(SEED)["season"]
    with pytest.raises(RuntimeError, match="no such luck"):
        others.run(tmp_path, "popmon", work, SEED)


def test_scores_are_matched_and_alarms_kept_as_shipped() -> None:
    rng = np.random.default_rng(2)
    quiet = rng.random((1, 100, 30))
    moved = np.full((2, 24, 30), 2.0)
    results = {
        "quiet": (quiet, quiet > 0.5, 1.0),
        "season": (quiet, quiet > 0.5, 1.0),
        "shifted": (moved, moved > 3, 1.0),
    }
    found = others._figures(results)
    assert found["shipped"]["quiet"]["in_alarm"] == 1000
    assert found["matched"]["quiet"]["per_1000"] <= 10
    assert found["shipped"]["shifts"]["5.0%"]["dead"]["found"] == 0
    assert found["matched"]["shifts"]["5.0%"]["dead"]["mean_of_24"] == 1
    assert HORIZON > 24
