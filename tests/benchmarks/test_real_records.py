"""The quiet traffic of the detection benchmark: made, and of real records if they are at hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import experiments, nulls, real
from benchmarks.detection.nulls import NULLS

SEED = 4


@pytest.mark.parametrize("name", NULLS)
def test_a_null_is_the_same_for_a_seed_and_drifts_nowhere(name: str) -> None:
    one, again = (NULLS[name].draw(nulls.seeded(SEED, name, 336, 0), 400) for _ in range(2))
    assert (one.x == again.x).all()
    assert ((one.x >= 0) & (one.x <= one.n)).all()
    assert len(one) == 400
    other = NULLS[name].draw(nulls.seeded(SEED, name, 336, 1), 400)
    assert (one.x != other.x).any()


def test_copies_and_weather_are_in_the_nulls() -> None:
    copied = NULLS["copies × 50, 1 window of 20"].draw(np.random.default_rng(1), 1_000)
    assert 20 < (copied.n[:, 0] == 1_049).sum() < 90
    weather = NULLS["all or nothing"].draw(np.random.default_rng(1), 100)
    assert set(np.unique(weather.x[:, 20])) == {0, 1_000}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of records: 30 windows of 40 tweets each, and votes of two LFs."""
    times = [f"2020-01-{1 + day:02}T{6 * hour:02}:00:00Z" for day in range(8) for hour in range(4)]
    tweets = [
        {"timestamp": at, "text": "vote" if i % 4 == 0 else "trump and covid"}
        for at in times
        for i in range(40)
    ]
    write(tmp_path / "congress_tweets_2020.jsonl.gz", tweets)
    (tmp_path / "lf_votes").mkdir()
    votes = [{"votes": [i % 2, -1 if i % 3 else 1]} for i in range(60)]
    write(tmp_path / "lf_votes" / "two.jsonl.gz", votes)
    monkeypatch.setenv(real.DATA, str(tmp_path))
    return tmp_path


def write(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)


@pytest.mark.usefixtures("folder")
def test_permuted_records_keep_their_volumes_and_their_votes() -> None:
    found = real.sets()
    assert set(found) == {"congress", "two"}
    windows = list(found["congress"].permuted(SEED, 0))
    assert [pane.records for _, pane in windows] == [40] * 32
    starts = [start for start, _ in windows]
    assert np.diff(starts).tolist() == [found["congress"].window_ms] * 31
    votes = [pane.segments["_all"].votes for _, pane in windows]
    again = [pane.segments["_all"].votes for _, pane in found["congress"].permuted(SEED, 1)]
    assert np.sum(votes, axis=0).tolist() == np.sum(again, axis=0).tolist()
    first, other = (next(iter(found["congress"].permuted(SEED, run)))[1] for run in (0, 1))
    assert first.segments["_all"].votes.tolist() != other.segments["_all"].votes.tolist()


def test_without_records_there_is_nothing_to_permute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(real.DATA, raising=False)
    assert real.sets() == {}
    assert experiments.real_records(SEED, 0.5) == {}


def test_real_records_open_few_false_incidents() -> None:
    """The smallest set: 5 LFs of other people, 952 windows after 48. The budget is half of one."""
    found = real.sets()
    if "hausa" not in found:
        pytest.skip(f"{real.DATA} does not name a folder with lf_votes/hausa.jsonl.gz")
    windows = list(found["hausa"].permuted(SEED, 0))
    baseline = real.fit(found["hausa"], windows[:48])
    quiet = experiments.Quiet.of(baseline, windows[48:], 0.5)
    assert quiet.onsets.events <= 2
    assert 0 < quiet.predicted < 3
