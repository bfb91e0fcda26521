"""What the stream tells, phase by phase, counted with LFs of our own."""

from collections.abc import Mapping
from statistics import mean, pstdev
from typing import Any

import pytest

from tests.demo.plain_lfs import PLAIN_LFS, coverage, votes, words
from tidegauge_service.demo.generator import Plan, Truth, batch, truth_at
from tidegauge_service.demo.plan import TopicMix, mix_at
from tidegauge_service.demo.topics import CHANNELS, TOPICS

PLAN = Plan()
SEED = 7
SIZE = PLAN.records_per_window

Records = list[dict[str, Any]]


def windows(first: int, last: int, plan: Plan = PLAN) -> Records:
    """Return the records of windows *first* up to *last*, without it."""
    return batch(SEED, first * SIZE, (last - first) * SIZE, plan)


def truth_of(record: Mapping[str, Any]) -> Truth:
    return truth_at(SEED, int(record["id"].removeprefix("demo-")), PLAN)


def topic_of(record: Mapping[str, Any]) -> str:
    return truth_of(record).topic


def wave_share(records: Records) -> float:
    return mean(topic_of(record) == "wallet_wave" for record in records)


@pytest.fixture(scope="module")
def quiet() -> Records:
    return windows(0, 66)


@pytest.fixture(scope="module")
def shifted() -> Records:
    return windows(68, 100)


@pytest.fixture(scope="module")
def recovered() -> Records:
    return windows(102, 140)


def test_shares_of_the_topics_add_up() -> None:
    assert sum(topic.share for topic in TOPICS) == pytest.approx(1)
    assert sum(t.share for t in TOPICS if t.label == "spam") == pytest.approx(0.35)


def test_about_a_third_is_spam_and_half_comes_by_mail(quiet: Records) -> None:
    spam = mean(truth_at(SEED, offset, PLAN).label == "spam" for offset in range(len(quiet)))
    assert 0.33 < spam < 0.37
    shares = [mean(record["channel"] == channel for record in quiet) for channel in CHANNELS]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


def test_in_quiet_times_each_lf_covers_a_fair_share(quiet: Records) -> None:
    shares = coverage(quiet)
    blind_spot = shares.pop("blind_spot")
    assert 0.26 < blind_spot < 0.30
    assert all(0.04 < share < 0.24 for share in shares.values()), shares
    assert 0.08 < shares["mentions_vicodin"] < 0.10
    assert 0.09 < shares["cheap_pills"] < 0.12


def test_every_lf_votes_better_than_chance(quiet: Records) -> None:
    names = {0: "ham", 1: "spam"}
    right: dict[str, list[bool]] = {name: [] for name in PLAIN_LFS}
    for offset, record in enumerate(quiet):
        truth = truth_at(SEED, offset, PLAN)
        for name, label in votes(record).items():
            right[name].append(names[label] == truth.label)
    precision = {name: mean(hits) for name, hits in right.items()}
    assert all(share > 0.6 for share in precision.values()), precision
    assert min(precision.values()) < 0.75, "perfect LFs would leave the label model no work"


def test_lfs_overlap_and_contradict_each_other_now_and_then(quiet: Records) -> None:
    counted = [votes(record) for record in quiet]
    assert 0.2 < mean(len(found) > 1 for found in counted) < 0.4
    assert 0.03 < mean(len(set(found.values())) > 1 for found in counted) < 0.1


def test_after_the_shift_the_wave_takes_its_share_most_of_all_by_mail(shifted: Records) -> None:
    assert 0.12 < wave_share(shifted) < 0.18
    by_channel = [
        wave_share([record for record in shifted if record["channel"] == channel])
        for channel in CHANNELS
    ]
    assert by_channel == pytest.approx([0.23, 0.11, 0.08], abs=0.02)


def test_the_wave_rises_over_three_windows() -> None:
    shares = [wave_share(windows(window, window + 1)) for window in (65, 66, 67, 68)]
    assert shares[0] == 0
    assert 0.01 < shares[1] < shares[2] < shares[3]


def test_no_lf_knows_the_wave() -> None:
    wave = [record for record in windows(66, 103) if topic_of(record) == "wallet_wave"]
    assert len(wave) > 1000
    assert not any(votes(record) for record in wave)


def test_only_the_wave_speaks_of_wallets(quiet: Records, shifted: Records) -> None:
    new = {"wallet", "airdrop", "phrase", "solaro", "mainnet", "holder"}
    assert not any(words(record) & new for record in quiet)
    assert mean(bool(words(record) & new) for record in shifted) == pytest.approx(
        wave_share(shifted), abs=0.01
    )


def test_after_the_shift_the_pharmacy_disguises_its_words(shifted: Records) -> None:
    shares = coverage(shifted)
    assert 0 < shares["mentions_vicodin"] < 0.006
    assert 0 < shares["cheap_pills"] < 0.006
    respelt = {"v1codin", "0xyc0ntin", "oxyc0ntin", "vlagra", "c1alis", "cial1s", "p1lls"}
    assert 0.06 < mean(bool(words(record) & respelt) for record in shifted) < 0.10


def test_after_the_shift_the_blind_spot_grows_most_of_all_by_mail(
    quiet: Records, shifted: Records
) -> None:
    def grown(channel: str) -> float:
        after, before = (
            coverage(record for record in part if record["channel"] == channel)["blind_spot"]
            for part in (shifted, quiet)
        )
        return after - before

    assert 0.42 < coverage(shifted)["blind_spot"] < 0.50
    assert grown("mail") > 2 * max(grown("web"), grown("app"))


def test_lfs_that_the_shift_does_not_concern_keep_their_share(
    quiet: Records, shifted: Records
) -> None:
    before, after = coverage(quiet), coverage(shifted)
    diluted = 1 - wave_share(shifted)
    for name in set(PLAIN_LFS) - {"mentions_vicodin", "cheap_pills"}:
        assert after[name] / before[name] == pytest.approx(diluted, abs=0.12), name


def test_at_the_end_everything_is_as_before(quiet: Records, recovered: Records) -> None:
    before, after = coverage(quiet), coverage(recovered)
    assert wave_share(recovered) == 0
    for name, share in before.items():
        assert after[name] == pytest.approx(share, rel=0.12), name


def test_the_wave_can_be_told_to_stay() -> None:
    plan = Plan(wave_stays=True)
    assert plan.wave_level(200) == 1
    assert 0.1 < mix_at(SEED, 200, plan).shares()["wallet_wave"] < 0.25
    assert coverage(windows(110, 120, plan))["mentions_vicodin"] > 0.05


def test_the_model_gets_worse_where_the_world_is_new(quiet: Records, shifted: Records) -> None:
    def accuracy(records: Records) -> float:
        return mean(bool(record["model"]["label"] == truth_of(record).label) for record in records)

    assert accuracy(quiet) > 0.95
    assert accuracy(shifted) < 0.85


def test_shares_vary_from_window_to_window_more_than_counting_explains() -> None:
    mixes = [mix_at(SEED, window, PLAN).shares() for window in range(60)]
    for topic in TOPICS:
        shares = [mix[topic.name] for mix in mixes]
        assert mean(shares) == pytest.approx(topic.share, rel=0.12), topic.name
        assert 0.055 < pstdev(shares) / mean(shares) < 0.125, topic.name


def test_windows_of_a_plan_without_noise_are_alike() -> None:
    plan = Plan(noise=0)
    first, second = (mix_at(SEED, window, plan) for window in (0, 59))
    assert isinstance(first, TopicMix)
    assert first.cumulative == second.cumulative
