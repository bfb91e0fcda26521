"""A pair shifts where its LFs' coverages do not explain it, and only there."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator
from scipy import optimize

from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.series.margins import NO_MARGINS, Bounds, Margins
from tidegauge_probes.findings import Finding, SeriesKey, SeriesKind, Verdict
from tidegauge_probes.model import ABSTAIN, ERROR, Layout

HOUR = 3_600_000
LAYOUT = Layout(("common", "rare", "third"), ("A", "B"), ((0, 1), (0, 1), (0,)))
PAIR = SeriesKey(SeriesKind.CO_VOTE, probe="rare", other="common")


@dataclass(frozen=True)
class Pair:
    """Two LFs: "rare" votes on p of the records, "common" on q, and on e of the rare one's."""

    p: float = 0.05
    q: float = 0.20
    e: float = 0.50

    @property
    def without(self) -> float:
        """How often the common one votes where the rare one does not."""
        return (self.q - self.p * self.e) / (1 - self.p)

    def window(self, rng: Generator, records: int) -> PaneCounts:
        votes = np.full((records, 3), ABSTAIN, dtype=np.int8)
        votes[rng.random(records) < self.p, 1] = 0
        due = np.where(votes[:, 1] == 0, self.e, self.without)
        votes[rng.random(records) < due, 0] = 0
        votes[rng.random(records) < 0.3, 2] = 0
        return panes.fold(matrix(votes), 2, {})


@cache
def usual(pair: Pair, records: int = 1_000) -> Baseline:
    rng = np.random.default_rng(5)
    windows = {w * HOUR: pair.window(rng, records) for w in range(168)}
    return baselines.fit(windows, layout=LAYOUT, probe_set="p", window_ms=HOUR, source={})


def followed(
    baseline: Baseline, now: Pair, seed: int = 1, windows: int = 48, records: int = 1_000
) -> list[dict[SeriesKey, Finding]]:
    """Return what is found in the windows after the baseline."""
    rng = np.random.default_rng(seed)
    past, found = Past.none(len(baseline.keys)), []
    for w in range(168, 168 + windows):
        pane = now.window(rng, records)
        findings = comparison.compare(w * HOUR, pane, baseline, Detector(), past)
        past = past.then(w * HOUR, *baseline.plan.extract(pane))
        found.append({finding.key: finding for finding in findings})
    return found


def first_shift(found: list[dict[SeriesKey, Finding]], key: SeriesKey) -> int | None:
    return next((w for w, of in enumerate(found) if of[key].shifted), None)


def coverage(probe: str) -> SeriesKey:
    return SeriesKey(SeriesKind.COVERAGE, probe=probe)


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        (Pair(p=0.10), "rare"),  # twice as many of the same
        (Pair(p=0.10, e=0.342), "rare"),  # and as many on any other records
        (Pair(p=0.025), "rare"),  # half of its votes
        (Pair(q=0.40, e=0.625), "common"),  # as many on any other records
        (Pair(q=0.40, e=0.733), "common"),  # more records that it knows: the same odds ratio
        (Pair(q=0.40), "common"),  # more votes where the rare one has none
        (Pair(q=0.10, e=0.25), "common"),  # half of its votes
        (Pair(q=0.0, e=0.0), "common"),  # dead
        (Pair(p=0.0), "rare"),
        (Pair(p=0.10, q=0.40, e=0.507), "rare"),  # both on any other records
    ],
)
def test_a_coverage_that_moves_by_itself_moves_no_pair(now: Pair, moved: str) -> None:
    found = followed(usual(Pair()), now)
    assert first_shift(found, coverage(moved)) in range(6), "of course its coverage has moved"
    assert first_shift(found, PAIR) is None
    agreement = SeriesKey(SeriesKind.AGREEMENT, probe="common", other="rare")
    assert first_shift(found, agreement) is None


@pytest.mark.parametrize("now", [Pair(p=0.10, q=0.40, e=0.9), Pair(q=0.40, e=0.95), Pair(e=0.9)])
def test_a_pair_that_moves_further_than_its_coverages_is_found(now: Pair) -> None:
    assert first_shift(followed(usual(Pair()), now), PAIR) in range(6)


@pytest.mark.parametrize(("e", "within"), [(0.4, 6), (0.0, 3), (0.3, 24)])
def test_lfs_that_met_by_chance_and_begin_to_vote_together_are_found(e: float, within: int) -> None:
    found = followed(usual(Pair(e=0.2)), Pair(e=e))
    assert first_shift(found, PAIR) in range(within)
    assert first_shift(found, coverage("rare")) is first_shift(found, coverage("common")) is None
    effects = [of[PAIR].effect or 1.0 for of in found if of[PAIR].shifted]
    assert all((effect > 1) == (e > 0.2) for effect in effects)


def test_a_dead_lf_has_no_shifted_pair_but_figures_that_can_be_read() -> None:
    dead = followed(usual(Pair()), Pair(q=0.0, e=0.0))[-1][PAIR]
    assert dead.verdict is Verdict.OK
    assert dead.observed == 0
    assert dead.expected is not None
    assert dead.effect is not None
    assert dead.expected < 0.05, "just what is to be expected of it"
    assert 0.2 < dead.effect < 5
    silent = followed(usual(Pair()), Pair(p=0.0))[-1][PAIR]
    assert silent.verdict is Verdict.NO_DATA


def test_in_quiet_windows_a_pair_is_expected_as_at_baseline() -> None:
    found = followed(usual(Pair()), Pair())
    assert first_shift(found, PAIR) is None
    expected = [of[PAIR].expected or 0.0 for of in found]
    assert np.mean(expected) == pytest.approx(0.5, abs=0.02)


# -- the formulas -----------------------------------------------------------------------------

COVERAGE = st.floats(0.001, 0.7)


def bounds_of(before: Pair, now: Pair) -> Bounds:
    """Return what coverages explain in one window of 10⁶ records."""
    keys = [SeriesKey(SeriesKind.COVERAGE, probe=lf) for lf in ("rare", "common")]
    keys += [SeriesKey(SeriesKind.ERROR, probe=lf) for lf in ("rare", "common")]
    margins = Margins.of([*keys, PAIR])
    n = 1e6
    share = np.array([[before.p, before.q, 0.0, 0.0, before.e]])
    x = np.array([[n * now.p, n * now.q, 0.0, 0.0, n * now.p * now.e]])
    size = np.array([[n, n, n, n, n * now.p]])
    return margins.bounds(share, x, size, np.ones((1, 1)))


@given(COVERAGE, COVERAGE, st.floats(0.05, 0.95), COVERAGE, COVERAGE)
def test_the_bounds_hold_the_baseline_and_the_same_odds(
    p: float, q: float, e: float, p_now: float, q_now: float
) -> None:
    least, most = max((p + q - 1) / p, 0.0), min(q / p, 1.0)
    e = least + (most - least) * e
    found = bounds_of(Pair(p, q, e), Pair(p_now, q_now))
    [low], [high] = found.low[0], found.high[0]
    assert 0 <= low <= e + 1e-9
    assert e - 1e-9 <= high <= 1

    def odds(share: float, p: float, q: float) -> float:
        both = p * share
        return both * (1 - p - q + both) / ((p - both) * (q - both))

    # The share of the same odds ratio, found by bisection between what the coverages allow.
    least, most = max((p_now + q_now - 1) / p_now, 0.0), min(q_now / p_now, 1.0)
    inside = (least + 1e-9 * (most - least), most - 1e-9 * (most - least))
    wanted = np.log(odds(e, p, q))
    same = optimize.brentq(lambda s: np.log(odds(s, p_now, q_now)) - wanted, *inside)
    assert low - 1e-6 <= same <= high + 1e-6


@given(COVERAGE, COVERAGE, st.floats(0.05, 0.95))
def test_coverages_that_stay_explain_nothing(p: float, q: float, e: float) -> None:
    least, most = max((p + q - 1) / p, 0.0), min(q / p, 1.0)
    pair = Pair(p, q, least + (most - least) * e)
    found = bounds_of(pair, pair)
    assert found.low[0, 0] == pytest.approx(pair.e, abs=1e-6)
    assert found.high[0, 0] == pytest.approx(pair.e, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_the_bounds_are_finite_for_any_counts(seed: int) -> None:
    """No records, LFs that always or never vote, or fail, expectations that do not fit."""
    rng = np.random.default_rng(seed)
    lfs = len(LAYOUT.probes)
    kinds = (SeriesKind.COVERAGE, SeriesKind.ERROR)
    keys = [SeriesKey(kind, probe=lf) for kind in kinds for lf in LAYOUT.probes]
    margins = Margins.of([*keys, PAIR])
    n = rng.choice([0, 1, 20, 10**9], (9, 2 * lfs + 1)).astype(float)
    x = np.floor(n * rng.choice([0, 0.3, 1], n.shape))
    share = rng.choice([1e-12, 0.2, 0.9, 1 - 1e-12], n.shape)
    with np.errstate(all="raise", under="ignore"):
        found = margins.bounds(share, x, n, rng.choice([0.0, 1.0], (9, 1)))
    assert all(np.isfinite(values).all() for values in astuple(found))
    assert (found.low <= found.high).all()


def test_series_without_pairs_have_no_margins() -> None:
    assert not NO_MARGINS
    assert not Margins.of([coverage("a"), coverage("b")])
    assert not Margins.of([coverage("rare"), PAIR]), "nobody follows the other's coverage"
    assert usual(Pair()).calibration.margins


def test_a_failing_lf_votes_less_and_its_pair_is_silent() -> None:
    """Coverage is of records without a failure, so it does not say that there are fewer votes."""
    baseline, rng = usual(Pair()), np.random.default_rng(2)
    past = Past.none(len(baseline.keys))
    for w in range(168, 190):
        votes = np.full((1_000, 3), ABSTAIN, dtype=np.int8)
        votes[rng.random(1_000) < 0.05, 1] = 0
        votes[rng.random(1_000) < np.where(votes[:, 1] == 0, 0.5, Pair().without), 0] = 0
        votes[rng.random(1_000) < 0.5, 0] = ERROR
        pane = panes.fold(matrix(votes), 2, {})
        findings = comparison.compare(w * HOUR, pane, baseline, Detector(), past)
        past = past.then(w * HOUR, *baseline.plan.extract(pane))
        shifted = {finding.key for finding in findings if finding.shifted}
        assert SeriesKey(SeriesKind.ERROR, probe="common") in shifted
        assert PAIR not in shifted
