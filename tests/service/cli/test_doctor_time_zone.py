"""``tidegauge doctor`` names a stream's time zone, and warns where its cycle follows another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.streams_for_tests import write_stream
from tests.service.transactions import write
from tidegauge_probes import load
from tidegauge_probes.drift.civil_time import ClockChange
from tidegauge_service.cli.doctor import stream_state
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.store import registration
from tidegauge_service.store.engine import Database

FOLLOWED = ClockChange(1_774_746_000_000, 1, "Europe/Berlin")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"database": f"sqlite:///{tmp_path}/t.db"})


def test_the_zone_is_named_before_a_first_run(tmp_path: Path, settings: Settings) -> None:
    assert stream_state.time_zone(write_stream(tmp_path), settings) == "UTC"
    berlin = write_stream(tmp_path, timezone="Europe/Berlin")
    assert stream_state.time_zone(berlin, settings) == "Europe/Berlin"


def test_a_cycle_that_follows_a_clock_is_warned_about_until_the_file_has_a_zone(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_stream(tmp_path)
    config = load_stream(path)
    database = Database(settings.database.get_secret_value())
    database.upgrade()
    write(database, registration.register, config, load(config.probes, tmp_path), 0)
    database.close()
    monkeypatch.setattr(stream_state, "followed_clock", lambda _connection, _stream: FOLLOWED)
    assert stream_state.time_zone(path, settings) == f"UTC. Warning: {FOLLOWED.advice}"
    berlin = write_stream(tmp_path, timezone="Europe/Berlin")
    assert stream_state.time_zone(berlin, settings) == "Europe/Berlin"
