"""Series of records: the volume of a stream, and the share of each segment value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegauge_probes.counts import panes
from tidegauge_probes.counts.panes import PaneCounts, SegmentCounts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift import comparison, skew
from tidegauge_probes.drift.baseline import Baseline
from tidegauge_probes.drift.comparison import Detector
from tidegauge_probes.drift.power import lengths
from tidegauge_probes.drift.scan import Past
from tidegauge_probes.drift.series import record_series
from tidegauge_probes.drift.series.new_values import MOST_NAMED, new_values
from tidegauge_probes.drift.series.record_series import VOLUME, silent_windows
from tidegauge_probes.findings import (
    ALL,
    VOLUME_OF,
    CauseKind,
    Finding,
    SeriesKey,
    SeriesKind,
    ValueShare,
    Verdict,
)
from tidegauge_probes.model import Layout

HOUR = 3_600_000
LAYOUT = Layout(("a", "b"), ("X", "Y"), ((0,), (1,)))
Shares = Mapping[str, float]
EVEN: Shares = {"de": 0.5, "fr": 0.3, "us": 0.2}


def segment(records: int) -> SegmentCounts:
    """Return counts in which LF a votes on a tenth, b on a third, as near as whole records get."""
    a, b = records // 10, records // 3
    outcomes = np.array([[a, 0, records - a, 0], [0, b, records - b, 0]], dtype=np.int64)
    totals = np.array([records, b, records - b, a, a], dtype=np.int64)
    both = np.array([a, a], dtype=np.int64)
    return SegmentCounts(totals, outcomes, both, both)


def pane(records: int, shares: Shares | None = None) -> PaneCounts:
    found = {ALL: segment(records)}
    if shares is not None:
        found |= {f"country={v}": segment(round(s * records)) for v, s in shares.items()}
    return PaneCounts(2, 2, found, np.zeros((4, 4), dtype=np.int64))


def counted(volumes: Sequence[int], shares: Shares | None = None) -> dict[int, PaneCounts]:
    return {w * HOUR: pane(int(n), shares) for w, n in enumerate(volumes) if n}


def fit(windows: Mapping[int, PaneCounts], **changes: object) -> Baseline:
    facts = {"layout": LAYOUT, "probe_set": "p", "window_ms": HOUR, "source": {}}
    silent = silent_windows(windows, HOUR).tolist()
    return baselines.fit(windows, **(facts | {"silent": silent} | changes))  # type: ignore[arg-type]


def volumes(rng: np.random.Generator, windows: int, mean: float = 1_000) -> list[int]:
    """Draw hours of a day whose nights have a quarter of the traffic, and noise of 5 %."""
    hours = np.arange(windows)
    rate = (
        mean * (1 + 0.6 * np.sin(2 * np.pi * hours / 24)) * np.exp(0.05 * rng.normal(size=windows))
    )
    return [int(n) for n in rng.poisson(rate)]


def due(hour: int, mean: float = 1_000) -> float:
    return mean * (1 + 0.6 * float(np.sin(2 * np.pi * hour / 24)))


def of(findings: Sequence[Finding], key: SeriesKey) -> Finding:
    return next(f for f in findings if f.key == key)


def follow(baseline: Baseline, live: Mapping[int, PaneCounts]) -> list[list[Finding]]:
    past, found = Past.none(len(baseline.keys)), []
    for start, counts in live.items():
        found.append(comparison.compare(start, counts, baseline, Detector(), past))
        past = past.then(start, *baseline.plan.extract(counts))
    return found


NOTHING = panes.empty(2, 2)


def test_a_volume_is_all_records_and_a_share_is_of_its_field() -> None:
    baseline = fit(counted([100] * 60, EVEN))
    x, n = baseline.plan.extract(pane(200, {"de": 0.25, "zz": 0.5}))
    found = dict(zip(baseline.keys, zip(x.tolist(), n.tolist(), strict=True), strict=True))
    assert found[VOLUME] == (200, VOLUME_OF)
    shares = {k.segment: v for k, v in found.items() if k.series is SeriesKind.SEGMENT_SHARE}
    nothing = {f"country={value}": (0, 150) for value in ("fr", "us")}
    assert shares == {"country=de": (50, 150), "country=_other": (100, 150), **nothing}


def test_more_records_than_a_volume_is_of_are_as_many() -> None:
    x, n = record_series.extract(3 * VOLUME_OF, (), (), volume=True, whole=True)
    assert (x.tolist(), n.tolist()) == ([VOLUME_OF], [VOLUME_OF])


def test_a_window_that_was_not_seen_whole_has_no_volume() -> None:
    baseline = fit(counted(volumes(np.random.default_rng(1), 336)))
    cut = comparison.compare(336 * HOUR, pane(3), baseline, Detector(), whole=False)
    assert of(cut, VOLUME).verdict is Verdict.NO_DATA
    assert of(comparison.compare(336 * HOUR, pane(3), baseline, Detector()), VOLUME).shifted
    place = baseline.keys.index(VOLUME)
    assert baseline.n[0, place] == 0, "a stream may begin in the middle of its first window"
    assert (baseline.n[1:, place] == VOLUME_OF).all()
    first = of(comparison.describe(0, pane(3), baseline), VOLUME)
    assert first.verdict is Verdict.NO_DATA


def test_training_data_have_no_volume() -> None:
    windows = counted([100] * 60, EVEN)
    assert VOLUME not in fit(windows, silent=None).keys
    assert VOLUME not in fit({-1: pane(100)}).keys, "nor have votes without times"


@pytest.mark.parametrize("mean", [50, 1_000, 10**7])
def test_an_outage_is_found_at_once_and_doubled_and_halved_volumes_soon(mean: int) -> None:
    rng = np.random.default_rng(mean)
    found = volumes(rng, 336 + 200, mean)
    baseline = fit(counted(found[:336]))
    quiet = follow(baseline, {w * HOUR: pane(found[w]) for w in range(336, 536)})
    assert sum(of(findings, VOLUME).shifted for findings in quiet) <= 2
    for factor, within in ((0.0, 1), (0.5, 6), (2.0, 3)):
        live = {w * HOUR: pane(round(factor * due(w, mean))) for w in range(340, 340 + within)}
        shifted = [of(findings, VOLUME) for findings in follow(baseline, live)]
        assert any(f.shifted for f in shifted), factor
        effect = shifted[-1].effect
        assert effect is not None
        assert (effect < 1) == (factor < 1)


def test_an_odds_ratio_is_a_ratio_of_volumes_up_to_ten_million_records() -> None:
    rng = np.random.default_rng(2)
    baseline = fit(counted(rng.poisson(10**7, 400).tolist()))
    f = of(comparison.compare(400 * HOUR, pane(2 * 10**7), baseline, Detector()), VOLUME)
    assert f.effect == pytest.approx(2.0, rel=0.01)
    assert f.expected == pytest.approx(10**7 / VOLUME_OF, rel=0.01)
    assert f.low is not None
    assert f.high is not None
    assert f.low < 10**7 / VOLUME_OF < f.high < f.x / f.n


def test_a_week_of_silence_is_followed_and_only_its_volume_is() -> None:
    baseline = fit(counted(volumes(np.random.default_rng(3), 336), EVEN))
    week = follow(baseline, {w * HOUR: NOTHING for w in range(336, 336 + 7 * 24)})
    for findings in week:
        assert {f.key for f in findings if f.shifted} == {VOLUME}
        assert {f.verdict for f in findings if f.key != VOLUME} == {Verdict.NO_DATA}
        f = of(findings, VOLUME)
        assert f.p_value is not None
        assert 0 < f.p_value < 1e-6
        assert f.observed == 0


def test_silent_nights_of_the_baseline_are_no_alarm() -> None:
    rng = np.random.default_rng(4)
    hours = np.arange(400)
    found = np.where(hours % 24 < 8, 0, rng.poisson(500, 400)).tolist()
    baseline = fit(counted(found[:350]))
    assert len(baseline.silent) == 14 * 8, "zeros between the first and the last records"
    assert len(baseline.starts) == np.count_nonzero(found[:350])
    live = follow(baseline, {w * HOUR: pane(found[w]) for w in range(350, 400)})
    assert not any(of(findings, VOLUME).shifted for findings in live)
    noon = comparison.compare(396 * HOUR, NOTHING, baseline, Detector())
    assert of(noon, VOLUME).shifted


def test_until_two_weeks_are_known_a_sunday_is_no_alarm_and_an_outage_is() -> None:
    rng = np.random.default_rng(5)
    baseline = fit(counted(volumes(rng, 96)))
    sunday = follow(baseline, {w * HOUR: pane(round(due(w) / 2)) for w in range(96, 120)})
    assert not any(of(findings, VOLUME).shifted for findings in sunday)
    assert of(comparison.compare(96 * HOUR, NOTHING, baseline, Detector()), VOLUME).shifted


def test_of_few_records_and_a_short_baseline_an_outage_takes_a_second_window() -> None:
    baseline = fit(counted(np.random.default_rng(8).poisson(40, 60).tolist()))
    silent = follow(baseline, {w * HOUR: NOTHING for w in range(60, 64)})
    assert [of(findings, VOLUME).shifted for findings in silent] == [False, True, True, True]


def test_while_learning_no_volume_alarms() -> None:
    baseline = fit(counted([1_000] * 30))
    assert baseline.learning
    for findings in follow(baseline, {w * HOUR: NOTHING for w in range(30, 60)}):
        f = of(findings, VOLUME)
        assert f.verdict is Verdict.LEARNING
        assert f.expected == pytest.approx(1_000 / VOLUME_OF, rel=0.01)


def test_what_is_learned_of_others_does_not_depend_on_the_volume() -> None:
    windows = counted(volumes(np.random.default_rng(6), 200), EVEN)
    with_it, without = fit(windows), fit(windows, silent=None)
    place = with_it.keys.index(VOLUME)
    assert tuple(k for k in with_it.keys if k != VOLUME) == without.keys
    for name in ("p", "tau2", "error", "n"):
        mine = getattr(with_it.calibration, name)
        assert (np.delete(mine, place) == getattr(without.calibration, name)).all()
    weights = with_it.calibration.curve.weights
    assert (np.delete(weights, place, axis=1) == without.calibration.curve.weights).all()


def test_a_volume_survives_storage_exactly() -> None:
    windows = counted(
        [n if w % 24 else 0 for w, n in enumerate(volumes(np.random.default_rng(7), 200))]
    )
    whole = fit(windows)
    again = baselines.decode(whole.encode())
    assert (again.silent == whole.silent).all()
    assert len(whole.silent)
    assert again.id == whole.id != fit(windows, silent=()).id
    assert np.array_equal(again.calibration.freedom, whole.calibration.freedom)
    live = {w * HOUR: pane(n) for w, n in enumerate([900, 0, 2_000, 40], 200)}
    assert follow(again, live) == follow(whole, live)
    assert again.forecast.per_window(1e-3) == whole.forecast.per_window(1e-3)


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(st.sampled_from([0, 0, 1, 2, 40, 1_000, 10**7]), min_size=1, max_size=130),
    after=st.lists(st.sampled_from([0, 0, 1, 30, 10**7]), min_size=1, max_size=70),
    cut=st.booleans(),
)
def test_every_figure_is_finite_whatever_came(
    *, before: list[int], after: list[int], cut: bool
) -> None:
    windows = counted([*before, 1], EVEN)
    baseline = fit(windows)
    past = Past.none(len(baseline.keys))
    for w, records in enumerate(after, len(before) + 1):
        counts = pane(records, EVEN) if records else NOTHING
        whole = not (cut and w % 3 == 0)
        findings = comparison.compare(w * HOUR, counts, baseline, Detector(), past, whole=whole)
        past = past.then(w * HOUR, *baseline.plan.extract(counts, whole=whole))
        for f in findings:
            figures = (f.observed, f.expected, f.low, f.high, f.effect, f.n_eff, f.share, f.rank)
            assert np.isfinite([v for v in figures if v is not None]).all()
            assert f.p_value is None or 0 < f.p_value <= 1
    expected = baseline.forecast.per_window(1e-3)
    assert expected is None or np.isfinite(expected)


@pytest.mark.parametrize("calibration", [48, 168, 336])
def test_a_new_value_with_a_third_of_the_traffic_is_found_in_its_first_window(
    calibration: int,
) -> None:
    rng = np.random.default_rng(calibration)

    def drawn(records: int, shares: Shares) -> PaneCounts:
        dealt = rng.multinomial(records, list(shares.values())) / records
        return pane(records, dict(zip(shares, dealt.tolist(), strict=True)))

    baseline = fit({w * HOUR: drawn(500, EVEN) for w in range(calibration)})
    other = SeriesKey(SeriesKind.SEGMENT_SHARE, "country=_other")
    quiet = follow(baseline, {w * HOUR: drawn(500, EVEN) for w in range(calibration, 2 * 48)})
    assert not any(of(findings, other).shifted for findings in quiet)
    new = {v: 0.7 * s for v, s in EVEN.items()} | {"aa": 0.3}
    findings = comparison.compare(calibration * HOUR, drawn(500, new), baseline, Detector())
    assert of(findings, other).shifted


def named(before: Shares, now: Shares, **changes: float) -> tuple[ValueShare, ...]:
    """Return the values behind a window's ``_other``; de and fr are followed."""
    counts, total = pane(1_000, now), pane(10_000, before)
    rest = sum(share for value, share in now.items() if value not in {"de", "fr"})
    facts = {"expected": 0.01} | changes
    key = SeriesKey(SeriesKind.SEGMENT_SHARE, "country=_other")
    finding = Finding(key, 0, round(1_000 * rest), 1_000, Verdict.SHIFTED, **facts)  # type: ignore[arg-type]
    cause = new_values(finding, counts, total, (ALL, "country=de", "country=fr", "country=_other"))
    if cause is None:
        return ()
    assert (cause.kind, cause.field, cause.confirmed) == (CauseKind.VALUES, "country", True)
    assert cause.segment == cause.values[0].segment
    return cause.values


def test_the_values_behind_a_grown_rest_are_named_with_their_shares() -> None:
    before, now = {"de": 0.6, "fr": 0.39, "at": 0.01}, {"de": 0.4, "fr": 0.19, "at": 0.01}
    assert named(before, {**now, "aa": 0.4}) == (ValueShare("country=aa", 0.0, 0.4),)
    grown = named(before, {"de": 0.4, "fr": 0.2, "at": 0.3, "aa": 0.1})
    assert grown == (ValueShare("country=at", 0.01, 0.3), ValueShare("country=aa", 0.0, 0.1))
    many = named(before, {"de": 0.5, **{f"a{i}": 0.1 for i in range(5)}})
    assert [value.segment for value in many] == [f"country=a{i}" for i in range(MOST_NAMED)]


def test_nothing_is_named_where_the_rest_has_not_grown_or_its_values_are_unknown() -> None:
    before = {"de": 0.6, "fr": 0.2, "at": 0.2}
    assert named(before, {"de": 0.7, "fr": 0.25, "aa": 0.05}, expected=0.2) == ()
    assert named(before, {"de": 0.4, "fr": 0.2, "_other": 0.4}, expected=0.2) == ()


def test_skew_says_nothing_of_volume_nor_of_fields_that_training_data_lack() -> None:
    live = fit(counted(volumes(np.random.default_rng(9), 200), EVEN))
    assert skew.compare(fit({-1: pane(50_000)}, silent=None), live) == ()
    others = fit({-1: pane(50_000, {"de": 0.9, "fr": 0.1})}, silent=None)
    found = {s.key.segment for s in skew.compare(others, live)}
    assert found == {f"country={value}" for value in ("de", "fr", "us")}


@given(st.sets(st.integers(0, 5_000), max_size=30))
def test_silent_windows_lie_between_those_with_records(hours: set[int]) -> None:
    found = silent_windows([hour * HOUR for hour in hours], HOUR) // HOUR
    assert not hours & set(found.tolist())
    assert (np.diff(found) > 0).all()
    for one, next_ in zip(sorted(hours), sorted(hours)[1:], strict=False):
        between = np.count_nonzero((found > one) & (found < next_))
        gap = next_ - one - 1
        assert between == (gap if gap < record_series.MOST_SILENT else 0)


def test_longer_windows_are_planned_without_the_volume_and_a_choice_of_series_keeps_it() -> None:
    baseline = fit(counted(volumes(np.random.default_rng(1), 200), EVEN))
    longer = lengths.added(baseline, 2 * HOUR)
    assert VOLUME not in longer.keys
    assert longer.calibration.p.shape == (len(longer.keys),)
    place = baseline.keys.index(VOLUME)
    some = baseline.calibration.select(np.array([place, 0]))
    assert some.tails is not None
    assert some.tails.alone is not None
    assert some.tails.alone.tolist() == [True, False]
    assert some.freedom_of(np.ones((1, 2), dtype=np.int64))[0, 0] < 300
