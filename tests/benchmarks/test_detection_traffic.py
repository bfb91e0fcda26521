"""The generators are what they say: means, spread, seasons, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection import traffic
from benchmarks.detection.rules import TEXTBOOK
from benchmarks.detection.traffic import CLIMATES, RATES, SHIFTS, Climate

LONG = 20_160
LF = 15  # of 5 %


def rates_of(climate: Climate, windows: int = LONG) -> traffic.Floats:
    return traffic.world(traffic.seeded(1), climate, windows, 1_000).rates


@pytest.mark.parametrize("name", CLIMATES)
def test_the_mean_of_quiet_traffic_is_the_coverage(name: str) -> None:
    climate = CLIMATES[name]
    expected = RATES * (1 + climate.weekend * np.where(np.arange(30) % 2, 1, -1) * 2 / 7)
    found = rates_of(climate).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.03)


@pytest.mark.parametrize("name", ["overdispersed", "stress"])
def test_the_spread_between_windows_is_ten_percent(name: str) -> None:
    climate = CLIMATES[name]
    rates = rates_of(Climate(sd=climate.sd, phi=climate.phi, common=climate.common))
    np.testing.assert_allclose(rates.std(axis=0) / RATES, 0.10, rtol=0.1)


def test_stress_is_autocorrelated_and_half_common() -> None:
    rates = rates_of(Climate(sd=0.1, phi=0.6, common=0.5))
    of_lf, of_other = rates[:, LF], rates[:, LF + 1]
    assert np.corrcoef(of_lf[1:], of_lf[:-1])[0, 1] == pytest.approx(0.6, abs=0.04)
    assert np.corrcoef(of_lf, of_other)[0, 1] == pytest.approx(0.5, abs=0.06)


def test_a_day_has_its_season() -> None:
    by_hour = rates_of(Climate(daily=0.3))[:, LF].reshape(-1, 24).mean(axis=0)
    assert by_hour.max() / RATES[LF] == pytest.approx(1.3, abs=0.01)
    assert by_hour.min() / RATES[LF] == pytest.approx(0.7, abs=0.01)


def test_gaps_and_uneven_volumes_are_seen_in_n() -> None:
    gaps = traffic.world(traffic.seeded(1), CLIMATES["gaps"], LONG, 1_000).n[:, 0]
    assert np.mean(gaps == 0) == pytest.approx(0.15, abs=0.02)
    uneven = traffic.world(traffic.seeded(1), CLIMATES["uneven"], LONG, 1_000).n[:, 0]
    by_hour = uneven.reshape(-1, 24).mean(axis=0)
    assert by_hour.max() > 5 * by_hour.min()


def test_the_same_seed_gives_the_same_counts_whatever_ran_before() -> None:
    def counted() -> traffic.Traffic:
        rng = traffic.seeded(7, "season", 3)
        return traffic.world(rng, CLIMATES["season"], 50, 200).count(rng)

    first, second = counted(), counted()
    np.testing.assert_array_equal(first.x, second.x)
    other = traffic.world(traffic.seeded(7, "season", 4), CLIMATES["season"], 50, 200)
    assert (other.count(traffic.seeded(7)).x != first.x).any()


@pytest.mark.parametrize(("shift", "factor"), [("+25 %", 1.25), ("−50 %", 0.5), ("dead", 0.0)])
def test_a_shift_moves_one_lf_from_its_onset(shift: str, factor: float) -> None:
    quiet = traffic.world(traffic.seeded(1), CLIMATES["iid"], 2_000, 10_000)
    counts = quiet.shifted(LF, SHIFTS[shift](1_000)).count(traffic.seeded(2))
    shares = counts.x / counts.n
    assert shares[:1_000, LF].mean() == pytest.approx(0.05, rel=0.02)
    assert shares[1_000:, LF].mean() == pytest.approx(0.05 * factor, rel=0.02)
    assert shares[1_000:, LF + 1].mean() == pytest.approx(0.05, rel=0.02)


def test_the_ramp_reaches_half_more() -> None:
    factors = SHIFTS["ramp"](96)
    assert factors[0] < 1.02
    assert factors[traffic.RAMP - 1 :].tolist() == [1.5] * 49


def test_a_pair_votes_on_its_overlap_only() -> None:
    rng = traffic.seeded(1)
    quiet = traffic.world(rng, CLIMATES["iid"], 2_000, 1_000)
    counts = traffic.with_pair(rng, quiet, 0.09, 0.9).count(rng)
    assert counts.n[:, -1].mean() == pytest.approx(90, rel=0.02)
    assert counts.x[:, -1].sum() / counts.n[:, -1].sum() == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_rules_see_an_lf_double_that_they_calmly_watched(name: str) -> None:
    rule = TEXTBOOK[name]
    quiet = traffic.world(traffic.seeded(5), CLIMATES["iid"], 460, 20_000)
    counts = quiet.shifted(25, np.full(24, 2.0)).count(traffic.seeded(6))
    alarms = rule.score(counts[:336], counts[336:]) > rule.threshold
    assert alarms[-24:, 25].all()
    assert alarms[:100].mean() < 0.08, "5 % of tests at p < .05, less for the others"


@pytest.mark.parametrize("name", TEXTBOOK)
def test_textbook_rules_have_no_alarm_without_records(name: str) -> None:
    quiet = traffic.world(traffic.seeded(5), CLIMATES["gaps"], 400, 1_000)
    counts = quiet.count(traffic.seeded(6))
    scores = TEXTBOOK[name].score(counts[:336], counts[336:])
    assert np.isfinite(scores).all()
    assert (counts.n[336:] == 0).any()
