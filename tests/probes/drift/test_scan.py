"""The scan over sums of windows, beside a plain reading of its formulas."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes.drift import tail_law
from tidegauge_probes.drift.calibration import noise
from tidegauge_probes.drift.calibration.generalised_pareto import DISTANCES, Exceedance
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.tails import GROUPS, TailMaps
from tidegauge_probes.drift.calibration.variance_time import PHIS, VarianceTime
from tidegauge_probes.drift.scales import LONGEST, MIN_LOGIT, SCALES
from tidegauge_probes.drift.scan import Past, Scanned, scan

HOUR_MS = 3_600_000


def calibration(*p: float, tau: float = 0.1, se: float = 0.01, phi: float = 0.0) -> Calibration:
    shares = np.array(p)
    same = np.ones(len(p))
    curve = VarianceTime(np.equal(PHIS, phi)[:, None] * same)
    error = (se * np.maximum(shares, 1 - shares)) ** 2
    return Calibration(
        shares, tau**2 * same, error, 1e5 * same, learning=False, curve=curve, wanders=same < 0
    )


def past_of(x: np.ndarray, n: np.ndarray) -> Past:
    past = Past.none(x.shape[1])
    for w in range(len(x)):
        past = past.then(w * HOUR_MS, x[w], n[w])
    return past


def last(x: np.ndarray, n: np.ndarray, known: Calibration) -> Scanned:
    """Scan the last of some windows."""
    return scan((len(x) - 1) * HOUR_MS, x[-1], n[-1], past_of(x[:-1], n[:-1]), known)


def plainly(x: np.ndarray, n: np.ndarray, known: Calibration, phi: float) -> tuple[float, int]:
    """Return the p-value of one series that pays least, and its scale, as the formulas read.

    The series votes on less than half of the records.
    """
    p, tau2, error = known.p[0], known.tau2[0], known.error[0]
    n = n.astype(float)
    of_window = n * p * (1 - p) + n * (n - 1) * (p * (1 - p)) ** 2 * tau2
    off = x - n * p
    clipped = np.clip(off, -4 * np.sqrt(of_window), 4 * np.sqrt(of_window) + 4)
    found: list[tuple[bool, float, float, int]] = []
    for j in sorted({min(j, len(x)) for j in SCALES}):
        total, size, due = x[-j:].sum(), n[-j:].sum(), n[-j:].sum() * p
        growth = 1 + 2 * sum((1 - k / j) * phi**k for k in range(1, j))
        variance = growth * of_window[-j:].sum() + due**2 * error
        came = due + (off[-1] if j == 1 else clipped[-j:].sum())
        [p_value] = tail_law.p_values(*np.array([[came], [size], [due], [variance], [np.inf]]))
        n_eff = due * (1 - p) / variance * size
        x_eff = total / size * n_eff
        odds = (x_eff + 0.5) / (n_eff - x_eff + 0.5) * (1 - p) / p
        quarter = max(j // 4, 1)
        ahead = total / size - p
        lately = x[-quarter:].sum() / n[-quarter:].sum() - p
        lasts = lately * np.sign(ahead) >= abs(ahead) / 2
        adjusted = min(float(p_value) * (6 if j < 6 else 4), 1.0)
        found.append((abs(np.log(odds)) < MIN_LOGIT or not lasts, adjusted, float(p_value), j))
    _, _, p_value, scale = min(found)
    return p_value, scale


@pytest.mark.parametrize("phi", [0.0, 0.6])
@pytest.mark.parametrize("windows", [1, 3, 20, 64])
def test_sums_are_as_the_formulas_read(windows: int, phi: float) -> None:
    rng = np.random.default_rng(windows)
    n = rng.integers(20_000, 60_000, (windows, 1))
    x = rng.binomial(n, 0.3 * rng.lognormal(0, 0.1, n.shape))
    known = calibration(0.33, phi=phi)
    found = last(x, n, known)
    p_value, scale = plainly(x[:, 0], n[:, 0], known, phi)
    assert found.p_value[0] == pytest.approx(p_value, rel=1e-9)
    assert found.scale[0] == scale


def test_a_small_shift_shows_in_many_windows_and_a_large_one_at_once() -> None:
    n = np.full((32, 3), 1_000)
    rates = np.array([0.30, 0.36, 0.30])
    x = np.round(n * rates).astype(int)
    x[-1, 2] = 600
    found = last(x, n, calibration(0.3, 0.3, 0.3))
    assert found.scale.tolist()[1:] == [32, 1]
    assert found.p_value[0] > 0.5
    assert found.p_value[1] < 1e-9
    assert found.p_value[2] < 1e-6
    assert found.share[1] == pytest.approx(0.36, abs=0.001)
    assert found.effect[1] == pytest.approx((0.36 / 0.64) / (0.3 / 0.7), rel=0.02)


@pytest.mark.parametrize(("windows", "price"), [(1, 6), (5, 6), (6, 4), (40, 4), (64, 4)])
def test_a_sum_pays_for_being_one_of_many_and_a_lasting_one_less(windows: int, price: int) -> None:
    """The stream is as old as the shift, so the longest sum is the surest; later, too."""
    n = np.full((windows, 1), 1_000)
    x = np.round(n * 0.36).astype(int)
    found = last(x, n, calibration(0.3))
    assert found.scale[0] == windows
    assert found.adjusted[0] == pytest.approx(price * found.p_value[0])
    aged_n, aged_x = np.vstack([n, n]), np.vstack([np.round(n * 0.3).astype(int), x])
    aged = last(aged_x, aged_n, calibration(0.3))
    assert aged.adjusted[0] <= 1.5 * found.adjusted[0]


def test_a_price_is_of_the_windows_that_have_records() -> None:
    """Eight windows of which four are empty are a sum of four."""
    n = np.full((8, 1), 1_000)
    n[:-1:2] = 0
    found = last(np.round(n * 0.36).astype(int), n, calibration(0.3))
    assert found.scale[0] == 4
    assert found.adjusted[0] == pytest.approx(6 * found.p_value[0])


def test_what_is_paid_decides_which_sum_speaks() -> None:
    """Five windows are a little surer than six, but pay half as much again."""
    n = np.full((6, 1), 1_000)
    x = np.array([[320], *[[348]] * 5])
    known = calibration(0.3)
    five, six = last(x[1:], n[1:], known), last(x, n, known)
    assert (five.scale[0], six.scale[0]) == (5, 6)
    assert five.p_value[0] < six.p_value[0] < 1.5 * five.p_value[0]
    assert six.adjusted[0] < five.adjusted[0]


def test_nothing_pays_more_than_is_certain() -> None:
    n = np.full((1, 1), 1_000)
    assert last(n * 3 // 10, n, calibration(0.3)).adjusted[0] == 1


def test_after_a_resolve_the_series_begins_anew() -> None:
    n = np.full((30, 2), 1_000)
    x = np.round(n * 0.36).astype(int)
    past = past_of(x, n).since_resolved(29 * HOUR_MS, [True, False])
    back = np.array([300, 300])
    found = scan(30 * HOUR_MS, back, n[0], past, calibration(0.3, 0.3))
    assert found.scale[0] == 1
    assert found.p_value[0] > 0.5
    assert found.p_value[1] < 1e-6


def test_a_shift_that_is_over_opens_nothing() -> None:
    n = np.full((32, 2), 1_000)
    x = np.round(n * 0.36).astype(int)
    x[-8:, 0] = 300
    over, lasting = last(x, n, calibration(0.3, 0.3)).worth
    assert lasting
    assert not over


@pytest.mark.parametrize(("windows", "total"), [(1, 100), (2, 104), (5, 110), (64, 110)])
def test_the_past_is_summed(windows: int, total: int) -> None:
    x = np.array([[1], [2], [3], [4]])
    past = past_of(x, x)
    found, size = past.total(np.array([100]), np.array([100]), windows)
    assert (found.tolist(), size.tolist()) == ([total], [total])


def test_windows_without_records_are_no_windows() -> None:
    n = np.full((40, 1), 1_000)
    n[::2] = 0
    x = np.round(n * 0.36).astype(int)
    kept = n[:, 0] > 0
    known = calibration(0.3)
    whole, dense = last(x, n, known), last(x[kept], n[kept], known)
    assert whole.scale[0] <= LONGEST
    assert whole.p_value[0] >= dense.p_value[0] * (1 - 1e-9)
    assert whole.share[0] == pytest.approx(0.36, abs=0.001)


# -- volume -----------------------------------------------------------------------------------


def of_few(windows: int, differ: int, n: int = 3) -> Scanned:
    """Scan windows of *n* records, of which one in ten should differ and *differ* do."""
    size = np.full((windows, 1), n)
    return last(np.full_like(size, differ), size, calibration(0.1, tau=0.03))


def test_windows_too_small_to_tell_are_told_from_their_sum() -> None:
    """Three records a window, of which one differs where one of ten did: 3.3 times as often."""
    alone, few, many = (of_few(windows, 1) for windows in (1, 6, 64))
    assert [found.enough[0] for found in (alone, few, many)] == [False, False, True]
    assert not alone.worth[0]
    assert not few.worth[0]
    assert many.worth[0]
    assert many.p_value[0] < 1e-6


@pytest.mark.parametrize("records", [19, 20])
def test_a_sum_of_fewer_than_20_records_is_not_compared(records: int) -> None:
    """However strange they are: here all of them differ."""
    found = of_few(1, records, records)
    assert found.p_value[0] < 1e-12
    assert found.enough[0] == found.worth[0] == (records == 20)


def test_the_sum_that_tells_is_one_with_enough_records() -> None:
    """Six records, all different, after many as usual: the odd window by itself tells nothing."""
    n = np.full((41, 1), 6)
    x = np.where(np.arange(41) % 2, 1, 0)[:, None]
    x[-1] = 6
    found = last(x, n, calibration(0.1, tau=0.03))
    assert found.enough[0]
    assert found.scale[0] * 6 >= 20


@pytest.mark.parametrize("windows", [1, 5, 64, 70])
@pytest.mark.parametrize("due", [12.5, 13.5])
def test_too_rare_is_what_the_longest_sum_would_not_have_13_of(due: float, windows: int) -> None:
    """Whatever came before: one window of a hundred records, or 64."""
    size = np.full((windows, 1), 100)
    rate = due / (100 * LONGEST)
    for p in (rate, 1 - rate):
        usual = np.round(size * p).astype(int)
        assert last(usual, size, calibration(p)).enough[0] == (due > 13)


def test_what_was_hardly_ever_expected_tells_once_it_came_13_times() -> None:
    """An LF that never failed fails on one record a window: enough after 13 windows."""
    size = np.full((13, 1), 100)
    known = calibration(1e-5)
    assert not last(np.ones_like(size[1:]), size[1:], known).enough[0]
    found = last(np.ones_like(size), size, known)
    assert found.worth[0]
    assert found.p_value[0] < 1e-9


def test_a_dip_at_night_does_not_hide_the_day() -> None:
    """A 5 % LF doubles; the last window has 2 records, too few by themselves."""
    n = np.array([[1_000]] * 8 + [[2]])
    x = np.round(n * 0.1).astype(int)
    found = last(x, n, calibration(0.05))
    assert found.worth[0]
    assert found.scale[0] > 1
    assert found.p_value[0] < 1e-6


def test_after_a_resolve_the_volume_begins_anew_too() -> None:
    size = np.full((64, 1), 3)
    usual = np.zeros_like(size)
    past = past_of(usual[1:], size[1:])
    known = calibration(0.1)
    for resolved, enough in ((False, True), (True, False)):
        since = past.since_resolved(62 * HOUR_MS, [resolved])
        assert scan(63 * HOUR_MS, usual[0], size[0], since, known).enough[0] == enough


def test_a_series_hardly_known_at_the_baseline_is_not_compared() -> None:
    size = np.full((64, 1), 100)
    known = calibration(0.1)
    for records, enough in ((19, False), (20, True)):
        few = replace(known, n=np.array([float(records)]))
        assert last(size // 2, size, few).enough[0] == enough


def test_only_the_longest_scale_is_remembered() -> None:
    n = np.full((200, 1), 10)
    past = past_of(n, n)
    assert len(past.starts) == LONGEST - 1
    assert past.starts[-1] == 199 * HOUR_MS


def test_a_tiny_shift_is_not_worth_a_page_however_sure() -> None:
    n = np.full((64, 1), 10_000_000)
    x = np.round(n * 0.505).astype(int)
    found = last(x, n, calibration(0.5, tau=1e-6, se=1e-6))
    assert found.p_value[0] < 1e-12
    assert not found.worth[0]


@given(
    st.lists(
        st.tuples(st.integers(0, 2**40), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=70
    ),
    st.floats(1e-9, 1 - 1e-9),
    st.sampled_from([0.0, *PHIS]),
)
def test_every_input_gives_finite_figures(
    windows: list[tuple[int, float, float]], p: float, phi: float
) -> None:
    n = np.array([[size, size] for size, _, _ in windows])
    x = np.array([[int(size * a), int(size * b)] for size, a, b in windows])
    found = last(x, n, calibration(p, 1 - p, phi=phi))
    for field in fields(found):
        assert np.isfinite(getattr(found, field.name)).all(), field.name
    assert ((found.p_value > 0) & (found.p_value <= found.adjusted) & (found.adjusted <= 1)).all()
    assert ((found.scale >= 1) & (found.scale <= LONGEST)).all()


# -- winsorising, and the tail map ------------------------------------------------------------


def test_one_wild_window_is_a_spike_and_no_drift() -> None:
    """A tenfold burst makes its own window extreme; in sums it counts for four deviations."""
    n = np.full((8, 1), 1_000)
    x = np.full((8, 1), 50)
    x[-1] = 500
    found = last(x, n, calibration(0.05))
    assert found.scale[0] == 1
    calm = np.vstack([x, np.full((1, 1), 50)])
    after = last(calm, np.full((9, 1), 1_000), calibration(0.05))
    assert after.adjusted[0] > 1e-3


def test_the_winsor_lets_four_events_of_the_rarest_series_count() -> None:
    spread = noise.variance(np.array([1_000.0]), np.array([1e-6]), 0.01)
    assert noise.winsorised(np.array([4.0]), spread)[0] == 4.0
    assert noise.winsorised(np.array([50.0]), spread)[0] < 5.0


def tails(level: float, rate: float) -> TailMaps:
    law = Exceedance(level, rate, -DISTANCES)
    return TailMaps(((law, None),) * len(GROUPS), np.array([False]))


def test_evidence_counts_for_no_more_than_the_calibration_allows() -> None:
    """The stream's own past exceeds 5 nats once in 100 windows: 9 nats are once in 5,460."""
    n = np.full((1, 1), 1_000)
    known = calibration(0.05)
    plain = last(n // 10, n, known)
    mapped = last(n // 10, n, replace(known, tails=tails(5.0, 0.01)))
    evidence = -np.log(plain.adjusted[0])
    assert evidence > 5
    assert -np.log(mapped.adjusted[0]) == pytest.approx(evidence - 5 + np.log(100) - np.log(2))
    assert mapped.p_value == plain.p_value, "what is shown is the law's own"
    generous = last(n // 10, n, replace(known, tails=tails(5.0, 1e-9)))
    assert generous.adjusted == plain.adjusted
