"""A stream that gets a time zone keeps its counts: its baseline is fitted again from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.deployments.test_windows import CALIBRATION, HOURS, Judged, topic
from tests.service.redeployed import SOMEBODY
from tests.service.transactions import write
from tidegauge_probes.drift import clock_change
from tidegauge_probes.drift.civil_time import CivilTime, ClockChange
from tidegauge_service.baselines import lookup
from tidegauge_service.config.stream_file import BaselineName
from tidegauge_service.deployments import changes
from tidegauge_service.store import baselines, deployments, registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import Role
from tidegauge_service.store.windows.clock_change import followed_clock

BERLIN = CivilTime("Europe/Berlin", ("2020-12-24",))


def move(group: Judged, civil: CivilTime) -> None:
    """Open the stream again with another `timezone` and `calendar` in its file."""
    changed = {"timezone": civil.zone, "calendar": civil.calendar}
    group.config = group.config.model_copy(update=changed)
    group.stream = write(group.database, registration.register, group.config, group.probe_set, 0)


def live_baseline(group: Judged) -> str:
    found = deployments.current(group.known(), Role.LIVE)
    assert found is not None
    assert found.baseline is not None
    return found.baseline


def test_with_a_new_zone_the_baseline_is_fitted_again_from_its_counts(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic())
    group.judge_until(40)
    before = live_baseline(group)
    move(group, BERLIN)
    group.judge_until(46)  # with 48 windows it has learned, and is another
    after = live_baseline(group)
    with database.read() as connection:
        old, new = (baselines.load(connection, name) for name in (before, after))
    assert (old.civil, new.civil) == (CivilTime(), BERLIN)
    assert new.in_time(CivilTime()).encode() == old.encode()
    used = [row.baseline for row in group.windows() if row.baseline is not None]
    assert used == sorted(used, key=[before, after].index)
    assert set(used) == {before, after}


def test_without_a_change_nothing_is_fitted_again(database: Database, tmp_path: Path) -> None:
    group = Judged(tmp_path, database, topic())
    move(group, BERLIN)
    group.judge_until(HOURS - 5)
    fitted = live_baseline(group)
    with database.read() as connection:
        assert baselines.load(connection, fitted).civil == BERLIN
    move(group, BERLIN)
    group.judge_until(HOURS)
    assert live_baseline(group) == fitted


def test_a_baseline_of_another_zone_that_is_named_is_fitted_again(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic())
    found = group.fitted(1, "base 1")
    update = {"timezone": "Asia/Kolkata", "baseline": BaselineName(name="base 1")}
    config = group.config.model_copy(update=update)
    taken = lookup.find_baseline(config, group.sets[1], database, lambda: 0)
    assert taken is not None
    assert taken.id != found
    assert taken.civil == CivilTime("Asia/Kolkata")


def test_an_accepted_baseline_has_the_zone_of_the_stream(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic())
    move(group, BERLIN)
    group.judge_until(HOURS)
    since = group.windows()[CALIBRATION + 1].window_start_ms
    changes.accept(database, group.stream, SOMEBODY, since_ms=since)
    with database.read() as connection:
        assert baselines.load(connection, live_baseline(group)).civil == BERLIN


def test_a_clock_change_that_is_followed_is_kept_until_the_stream_has_a_zone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = ClockChange(1_600_000_000_000, 1, "Europe/Berlin")
    monkeypatch.setattr(clock_change, "find", lambda *_windows: followed)
    group = Judged(tmp_path, database, topic())
    group.judge_until(HOURS)
    with database.read() as connection:
        [row] = streams.select_streams(connection)
        assert followed_clock(connection, row) == followed
    move(group, BERLIN)
    with database.read() as connection:
        [row] = streams.select_streams(connection)
        assert row.timezone == "Europe/Berlin"
        assert followed_clock(connection, row) is None
