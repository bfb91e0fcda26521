"""Windows are compared by distinct texts: a campaign is told as copies, and as nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from tests.probes.simulation import fit, shifted, wobbling
from tests.probes.strategies import matrix
from tidegauge_probes.counts import panes, text_sample
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.counts.text_keys import mixed
from tidegauge_probes.counts.text_sample import TextSample
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison, skew
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.series.distinct import OF_RECORDS
from tidegauge_probes.findings import ALL, Finding, SeriesKey, SeriesKind, Verdict

RATES = [0.005, 0.05, 0.05, 0.3]
RECORDS = 1_000
Ints = npt.NDArray[np.int64]


def window(
    rng: np.random.Generator, rates: npt.ArrayLike, copies: Sequence[int] = (), n: int = RECORDS
) -> PaneCounts:
    """Count records with texts of their own, the first of which come so often as *copies* says."""
    voted = rng.random((n, len(RATES))) < np.asarray(rates)
    votes = np.where(voted, np.arange(len(RATES)) % 2, -1).astype(np.int8)
    keys = mixed(rng.integers(1, 2**63, n, dtype=np.uint64))
    times = np.ones(n, dtype=np.int64)
    times[: len(copies)] = copies
    if copies:
        votes[: len(copies)] = [-1, 1, -1, -1]  # the slogan is lf1's
    return counted(np.repeat(votes, times, axis=0), np.repeat(keys, times))


def counted(votes: npt.NDArray[np.int8], keys: npt.NDArray[np.uint64]) -> PaneCounts:
    side = {"side=l": keys % np.uint64(2) == 0}
    pane = panes.fold(matrix(votes), 2, side)
    return replace(pane, texts=TextSample.of(keys, votes, side)).settled()


@cache
def quiet() -> Baseline:
    rng = np.random.default_rng(1)
    return fit([window(rng, rates) for rates in wobbling(rng, RATES, 168, 0.1)])


def compare(pane: PaneCounts, baseline: Baseline, start: int = 0) -> dict[SeriesKey, Finding]:
    return {f.key: f for f in comparison.compare(start, pane, baseline, Detector())}


COPIES = SeriesKey(SeriesKind.COPIES)
SLOGAN = SeriesKey(SeriesKind.COVERAGE, ALL, "lf1")


def test_fifty_copies_of_one_text_are_told_as_copies_and_open_nothing_else() -> None:
    campaign = window(np.random.default_rng(2), RATES, [50])
    found = compare(campaign, quiet())
    assert {f.key for f in found.values() if f.shifted} == {COPIES}
    assert (found[COPIES].x, found[COPIES].n) == (49, 1_049)
    # Records would have opened one, and people still see their counts.
    assert shifted(list(compare(replace(campaign, distinct=None), quiet()).values())) == {"lf1"}
    slogan = found[SLOGAN]
    assert slogan.texts is not None
    assert (slogan.n - slogan.texts.n, slogan.x - slogan.texts.x) == (49, 49)
    assert slogan.observed == slogan.x / slogan.n


def test_a_shift_of_distinct_texts_is_found_as_ever() -> None:
    rates = [0.005, 0.12, 0.05, 0.3]
    found = compare(window(np.random.default_rng(3), rates, [20]), quiet())
    assert found[SLOGAN].shifted


def test_without_copies_texts_are_compared_as_records_are() -> None:
    pane = window(np.random.default_rng(4), RATES)
    by_text, by_record = compare(pane, quiet()), compare(replace(pane, distinct=None), quiet())
    for key, finding in by_text.items():
        if key.series not in OF_RECORDS:
            other = by_record[key]
            figures = (finding.p_value, finding.expected, finding.low, finding.effect)
            assert figures == (other.p_value, other.expected, other.low, other.effect)
            assert finding.texts is not None
            assert other.texts is None
            assert (finding.texts.x, finding.texts.n) == (finding.x, finding.n)
    assert by_record[COPIES].verdict is Verdict.NO_DATA


def test_a_window_of_records_without_texts_is_compared_by_records() -> None:
    pane = replace(window(np.random.default_rng(5), RATES), distinct=None)
    found = compare(pane, quiet())
    assert not any(f.shifted for f in found.values())
    assert found[SLOGAN].texts is None


def test_a_window_without_records_is_no_data() -> None:
    found = compare(panes.empty(4, 2), quiet())
    assert {f.verdict for f in found.values()} == {Verdict.NO_DATA}


def test_shares_are_shown_as_of_records_where_copies_are_usual() -> None:
    rng = np.random.default_rng(6)
    # Every window has one text thirty times: 5 % of the texts are 8 % of the records.
    usual = fit([window(rng, rates, [30]) for rates in wobbling(rng, RATES, 168, 0.1)])
    found = compare(window(rng, RATES, [30]), usual)
    slogan = found[SLOGAN]
    assert not any(f.shifted for f in found.values())
    assert slogan.texts is not None
    assert slogan.expected == pytest.approx(0.079, abs=0.004)
    assert slogan.texts.expected == pytest.approx(0.051, abs=0.003)
    assert slogan.low is not None
    assert slogan.high is not None
    assert slogan.low < slogan.x / slogan.n < slogan.high
    assert slogan.tested.n == slogan.texts.n


def test_where_most_records_are_copies_a_text_is_a_kind_of_record() -> None:
    rng = np.random.default_rng(7)

    def lines(n: int) -> PaneCounts:
        kinds = rng.integers(1, 40, n)
        votes = np.where(kinds[:, None] % [2, 3, 5, 7] == 0, 0, -1).astype(np.int8)
        return counted(votes, mixed(kinds.astype(np.uint64)))

    baseline = fit([lines(500) for _ in range(60)])
    assert COPIES not in baseline.keys
    assert not baseline.by_text.any()
    assert not any(f.shifted for f in compare(lines(2_000), baseline).values())


def test_a_rare_lf_among_many_texts_is_compared_by_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_sample, "MOST_TEXTS", 1_024)
    rng = np.random.default_rng(8)
    baseline = fit([window(rng, RATES, n=8_000) for _ in range(60)])
    by_text = dict(zip(baseline.keys, baseline.by_text.tolist(), strict=True))
    assert baseline.total.distinct is not None
    assert baseline.total.distinct.level
    assert by_text[SeriesKey(SeriesKind.COVERAGE, ALL, "lf3")]
    assert not by_text[SeriesKey(SeriesKind.COVERAGE, ALL, "lf0")]
    assert not by_text[COPIES]
    campaign = compare(window(rng, RATES, [16_000], n=8_000), baseline)
    assert campaign[COPIES].shifted
    assert campaign[COPIES].observed == pytest.approx(2 / 3, abs=0.06)


def test_a_stored_baseline_compares_as_the_fitted_one() -> None:
    fitted = quiet()
    stored = baselines.decode(fitted.encode())
    assert stored.id == fitted.id
    assert stored.by_text.tolist() == fitted.by_text.tolist()
    pane = window(np.random.default_rng(9), RATES, [50])
    assert compare(pane, stored) == compare(pane, fitted)


def test_a_baseline_without_texts_keeps_its_bytes_and_its_series() -> None:
    windows = [replace(window(np.random.default_rng(w), RATES), distinct=None) for w in range(60)]
    baseline = fit(windows)
    assert COPIES not in baseline.keys
    assert baseline.texts is None
    assert baselines.decode(baseline.encode()).id == baseline.id
    # One window whose texts nobody knows leaves nothing to compare by texts with.
    known = window(np.random.default_rng(0), RATES)
    assert fit([*windows, known]).texts is None


def test_the_past_is_summed_as_it_was_compared() -> None:
    rng = np.random.default_rng(10)
    baseline = quiet()
    past = Past.none(len(baseline.keys))
    for start in range(8):  # a campaign in every window: never a shift of lf1
        pane = window(rng, RATES, [30])
        findings = comparison.compare(start, pane, baseline, Detector(), past)
        assert not shifted(findings)
        past = past.then(start, *baseline.tested(pane))


def test_training_data_with_texts_differ_by_texts_alone() -> None:
    rng = np.random.default_rng(11)
    training = fit([window(rng, RATES, [50]) for _ in range(20)])
    assert "lf1" not in {found.key.probe for found in skew.compare(training, quiet())}
