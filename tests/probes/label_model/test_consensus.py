"""The mix of classes, and how right the deployed model is, as series that the scan watches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.simulated_votes import World, pane, unipolar
from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.series import series_plan as series
from tidegauge_probes.findings import ALL, Finding, SeriesKey, SeriesKind, Verdict
from tidegauge_probes.label_model import LabelModelKind, fit
from tidegauge_probes.label_model.consensus import Consensus
from tidegauge_probes.model import ABSTAIN, ERROR, Layout, Outcomes

Floats = npt.NDArray[np.float64]

LFS = 12
MODEL = LFS
HOUR_MS = 3_600_000
RECORDS = 2_000
MIX = np.array([0.6, 0.4])
LAYOUT = Layout(
    (*(f"lf{i}" for i in range(LFS)), "model"),
    ("HAM", "SPAM"),
    (*((i % 2,) for i in range(LFS)), (0, 1)),
)
SPAM = SeriesKey(SeriesKind.CLASS_SHARE, label="SPAM")
RIGHT = SeriesKey(SeriesKind.PRECISION, probe="model", label="SPAM")


def world(right: float = 0.9) -> World:
    """Return twelve LFs, and a model that names the class of every record, *right* so often."""
    lfs = unipolar(np.random.default_rng(1), LFS, MIX, coverage=(0.1, 0.3))
    model = np.array([[[right, 1 - right], [1 - right, right]]])
    return World(np.concatenate([lfs.says, model]))


def window(rng: np.random.Generator, of: World, spam: float, n: int = RECORDS) -> PaneCounts:
    return pane(of.draw(rng, n, np.array([1 - spam, spam]))[1], 2)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    """Ten days of hourly windows whose mix of classes varies a little."""
    rng = np.random.default_rng(2)
    panes = {w * HOUR_MS: window(rng, world(), rng.normal(0.4, 0.02)) for w in range(240)}
    _, outcomes = world().draw(rng, 50_000, MIX)
    model = fit(outcomes, 2, aside=[MODEL])
    assert model.kind is LabelModelKind.FULL
    return baselines.fit(
        panes, layout=LAYOUT, probe_set="p", window_ms=HOUR_MS, source={}, model=model
    )


def follow(baseline: Baseline, panes: list[PaneCounts]) -> list[dict[SeriesKey, Finding]]:
    """Compare windows that follow each other."""
    past = Past.none(len(baseline.keys))
    found = []
    for number, one in enumerate(panes, start=240):
        start = number * HOUR_MS
        findings = comparison.compare(start, one, baseline, Detector(), past)
        found.append({finding.key: finding for finding in findings})
        past = past.then(start, *baseline.plan.extract(one))
    return found


def test_they_are_followed_where_there_is_a_label_model(baseline: Baseline) -> None:
    ours = [k for k in baseline.keys if k.series in {SPAM.series, RIGHT.series}]
    assert [str(key) for key in ours] == [
        "class_share(SPAM)",
        "precision(model, HAM)",
        "precision(model, SPAM)",
    ]
    again = baselines.decode(baseline.encode())
    assert again.keys == baseline.keys
    assert isinstance(again.plan.consensus, Consensus)
    assert isinstance(baseline.plan.consensus, Consensus)
    assert again.plan.consensus.worth.tolist() == baseline.plan.consensus.worth.tolist()


@pytest.mark.parametrize("key", [SPAM, RIGHT], ids=str)
def test_n_is_what_they_are_as_sure_as(baseline: Baseline, key: SeriesKey) -> None:
    """The spread of the estimates is that of n records whose class is known, within a fifth."""
    rng = np.random.default_rng(3)
    place = baseline.keys.index(key)
    found = [baseline.plan.extract(window(rng, world(), 0.4)) for _ in range(300)]
    x, n = np.array([(x[place], n[place]) for x, n in found]).T
    assert 50 < n.mean() < RECORDS
    truth = 0.4 if key == SPAM else world().precision(MIX)[MODEL, 1]
    share = x / n
    assert share.mean() == pytest.approx(truth, abs=0.015)
    assert share.std() == pytest.approx(np.sqrt(truth * (1 - truth) / n.mean()), rel=0.2)


def test_another_mix_of_classes_is_found(baseline: Baseline) -> None:
    rng = np.random.default_rng(4)
    found = follow(baseline, [window(rng, world(), 0.55) for _ in range(6)])
    last = found[-1][SPAM]
    assert last.shifted
    assert last.expected == pytest.approx(0.4, abs=0.02)
    assert last.share == pytest.approx(0.55, abs=0.03)


def test_a_model_that_gets_worse_is_found_though_its_votes_are_as_many(baseline: Baseline) -> None:
    """From 90 to 78 % right on either class: no LF moves, and the mix stays."""
    rng = np.random.default_rng(5)
    found = follow(baseline, [window(rng, world(0.78), 0.4) for _ in range(12)])
    shifted = {key for findings in found for key, f in findings.items() if f.shifted}
    assert RIGHT in shifted
    assert SPAM not in shifted
    last = found[-1][RIGHT]
    assert last.share is not None
    assert last.share == pytest.approx(world(0.78).precision(MIX)[MODEL, 1], abs=0.05)


def test_quiet_windows_stay_quiet(baseline: Baseline) -> None:
    rng = np.random.default_rng(6)
    panes = [window(rng, world(), rng.normal(0.4, 0.02)) for _ in range(400)]
    shifted = [f.key for found in follow(baseline, panes) for f in found.values() if f.shifted]
    assert shifted == []


@pytest.mark.parametrize("broken", ["blind", "dead", "dying"])
def test_an_lf_that_breaks_moves_neither(baseline: Baseline, broken: str) -> None:
    """What it does now is measured by the others, and then not used."""
    says = world().says.copy()
    if broken == "blind":
        says[1, 1] = says[1, 1] @ MIX  # it votes SPAM whatever the class
    else:
        says[1] *= {"dead": 0, "dying": 0.3}[broken]
    rng = np.random.default_rng(7)
    found = follow(baseline, [window(rng, World(says), 0.4, 10_000) for _ in range(40)])
    shifted = {key for findings in found for key, f in findings.items() if f.shifted}
    assert "lf1" in {key.probe for key in shifted}
    assert not shifted & {SPAM, RIGHT}


@pytest.mark.parametrize("outcome", [ABSTAIN, ERROR])
def test_where_no_lf_says_anything_nothing_is_known(baseline: Baseline, outcome: int) -> None:
    silent = pane(np.full((500, LFS + 1), outcome, dtype=np.int8), 2)
    [found] = follow(baseline, [silent])
    assert {found[SPAM].verdict, found[RIGHT].verdict} == {Verdict.NO_DATA}


def test_segments_have_mixes_of_their_own(baseline: Baseline) -> None:
    rng = np.random.default_rng(8)
    sides = [world().draw(rng, 5_000, np.array([1 - spam, spam]))[1] for spam in (0.2, 0.6)]
    left = np.arange(10_000) < 5_000
    masks = {"side=l": left, "side=r": ~left}
    both = counts.fold(matrix(np.concatenate(sides)), 2, masks)
    chosen = series.plan(LAYOUT, both, consensus=Consensus.of(baseline.model, both))
    figures = dict(zip(chosen.keys(), zip(*chosen.extract(both), strict=True), strict=True))
    mixes = {s: figures[SeriesKey(SPAM.series, s, label="SPAM")] for s in (ALL, *masks)}
    found = {s: x / n for s, (x, n) in mixes.items()}
    assert found == pytest.approx({ALL: 0.4, "side=l": 0.2, "side=r": 0.6}, abs=0.04)


@given(st.data())
def test_of_any_votes_x_is_at_most_n(baseline: Baseline, data: st.DataObject) -> None:
    votes = data.draw(st.lists(st.lists(st.integers(-2, 1), min_size=13, max_size=13), max_size=40))
    outcomes: Outcomes = np.array(votes, dtype=np.int8).reshape(-1, LFS + 1)
    x, n = baseline.plan.extract(pane(outcomes, 2))
    assert x.dtype == n.dtype == np.int64
    assert ((x >= 0) & (x <= n)).all()
    assert (n <= len(votes)).all()
