"""What happens while the database or the source is down: one place, one line of the log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.memory_source import MemorySource
from tidegauge_alerts.backoff import Backoff
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.ingest.worker import Worker
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.jobs.sight import SightCheck
from tidegauge_service.jobs.watermark_watch import WatermarkWatch
from tidegauge_service.runtime import consumer
from tidegauge_service.runtime.consumer import PAUSE, Service
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.pipeline import Pipeline
from tidegauge_service.store.engine import Database


class Flaky(Database):
    """A database that can be down."""

    down = False

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        self._refuse()
        with super().write() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        self._refuse()
        with super().read() as connection:
            yield connection

    def _refuse(self) -> None:
        if self.down:
            msg = "the test has stopped it"
            raise StoreError(msg)


class Seated(MemorySource):
    """A source with a group that must hear of its member."""

    rests = 0

    def rest(self, timeout_s: float) -> None:
        del timeout_s
        self.rests += 1


def test_pauses_grow_to_a_limit_and_are_never_the_same_for_all() -> None:
    assert [PAUSE.pause_s(n, 0.0) * 2 for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert PAUSE.pause_s(10_000, 1.0) == PAUSE.longest_s
    assert PAUSE.pause_s(3, 0.1) != PAUSE.pause_s(3, 0.9)


def test_a_problem_is_logged_when_it_comes_and_when_it_goes() -> None:
    heard: list[tuple[str, str | None]] = []
    health = Health(changed=lambda part, what: heard.append((part, what)))
    with capture_logs() as logs:
        for what in ("down", "down", "still down", None, None, "down", None):
            health.report("database", what)
    assert [entry["event"] for entry in logs] == ["in_trouble", "well_again"] * 2
    assert heard == [("database", w) for w in ("down", "still down", None, "down", None)]
    assert health.first() is None


@pytest.fixture
def flaky(sqlite_database: Database) -> Iterator[Flaky]:
    database = Flaky(sqlite_database.url.render_as_string(hide_password=False))
    yield database
    database.close()


def service(
    group: Group, source: MemorySource, settings: Settings | None = None
) -> tuple[Service, Worker]:
    def clock() -> int:
        return NOW

    scope = group.scope(clock)
    worker = Worker(scope, group.probe_set, source)
    pipeline = Pipeline(scope, worker, Evaluator(scope), WatermarkWatch(scope), SightCheck(scope))
    return Service(group.database, [pipeline], settings or Settings(), clock), worker


def test_while_the_database_is_down_nothing_is_read_and_nothing_is_lost(
    flaky: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PAUSE", Backoff(0.01, 0.02))
    group = Group(tmp_path, flaky, oracle.topic(2, 200))
    polls = 0

    def break_down_once() -> None:
        nonlocal polls
        polls += 1
        flaky.down = flaky.down or polls == 5

    source = Seated(group.topic, on_poll=break_down_once)
    running, worker = service(group, source)
    with capture_logs() as logs:
        running.start()
        try:
            wait_until(lambda: source.rests > 20, what="the worker to rest")
            assert not worker.partitions, "what was read and not committed is dropped"
            at_rest = polls
            problem = running.health.first()
            wait_until(lambda: source.rests > 40, what="the worker to rest on")
            assert polls == at_rest, "no input is taken meanwhile"
            flaky.down = False
            wait_until(lambda: worker.drained, what="the end")
            wait_until(lambda: running.health.first() is None, what="good health")
        finally:
            running.stop()
    assert problem is not None
    assert "the test has stopped it" in problem
    of_ingest = [e["event"] for e in logs if str(e.get("part", "")).startswith("ingest-")]
    assert of_ingest == ["in_trouble", "well_again"], "one line for each change, not for each try"
    [ended] = [e for e in logs if e["event"] == "source_ended"]
    assert "restart tidegauge, or schedule `tidegauge run" in ended["advice"]
    group.assert_exact()
    assert source.closed


def test_a_setting_that_is_wrong_is_not_tried_again(
    flaky: Flaky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(tmp_path, flaky, oracle.topic(1, 10))
    running, worker = service(group, Seated(group.topic))

    def taken(*_: Any, **__: Any) -> None:
        msg = "the seat is taken"
        raise SettingsError(msg)

    monkeypatch.setattr(worker, "step", taken)
    running.start()
    try:
        wait_until(running.stopping.is_set, what="the halt")
    finally:
        running.stop()
    assert isinstance(running.health.fatal, SettingsError)
