"""Who sits where, and when the next one may start. The processes are tested in tests/e2e."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from tests.service.streams_for_tests import write_stream
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.config.stream_file import StreamConfig, load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.ingest.heartbeat import NO_LF, Heartbeat, Phase
from tidegauge_service.runtime.death_record import Death
from tidegauge_service.runtime.supervisor import RESTART, Supervisor
from tidegauge_service.runtime.worker_slot import worker_slots
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow

KAFKA = {"kind": "kafka", "bootstrap": "127.0.0.1:9092", "topic": "t"}


def config(folder: Path, **source: Any) -> StreamConfig:
    return load_stream(write_stream(folder, source=KAFKA | source))


def instances(found: StreamConfig, *, static: bool) -> list[str | None]:
    sources = [slot.config.source for slot in worker_slots([found], 2, static=static)]
    return [source.instance for source in sources if isinstance(source, KafkaSource)]


def test_pauses_double_to_a_limit() -> None:
    assert [RESTART.pause_s(n, 1.0) for n in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert RESTART.pause_s(10_000, 1.0) == RESTART.longest_s
    assert RESTART.pause_s(1, 0.0) == 0.5


def test_a_service_that_has_stopped_says_so_in_the_log() -> None:
    with capture_logs() as logged:
        Supervisor([], Settings(), cast("Database", None), lambda: 0).run()
    assert [(one["event"], one["log_level"]) for one in logged] == [("stopped", "info")]


def test_every_worker_has_a_name_of_its_own(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert [slot.name for slot in worker_slots([found], 3, static=True)] == [
        "test-1",
        "test-2",
        "test-3",
    ]
    names = [name or "" for name in instances(found, static=True)]
    assert [name.rpartition("-")[2] for name in names] == ["1", "2"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+-test-\d", name) for name in names)


def test_members_are_dynamic_unless_they_are_named(tmp_path: Path) -> None:
    assert instances(config(tmp_path), static=False) == ["", ""]
    assert instances(config(tmp_path, instance=""), static=True) == ["", ""]
    named = config(tmp_path, instance="{stream}.{worker}")
    assert instances(named, static=False) == instances(named, static=True) == ["test.1", "test.2"]


@pytest.mark.parametrize("template", ["{host}", "{", "{0}", "{worker", "{hostname.x}", "a b", "é"])
def test_a_template_that_cannot_be_filled_in_is_refused(tmp_path: Path, template: str) -> None:
    with pytest.raises(SettingsError, match=r"source\.instance"):
        worker_slots([config(tmp_path, instance=template)], 1, static=True)


def test_a_name_that_two_workers_would_share_is_refused(tmp_path: Path) -> None:
    named = config(tmp_path, instance="mine")
    assert len(worker_slots([named], 1, static=True)) == 1
    with pytest.raises(SettingsError, match=r"\{worker\}"):
        worker_slots([named], 2, static=True)


@pytest.mark.parametrize("source", [{"kind": "file", "path": "x"}, {"kind": "demo"}])
def test_a_source_without_a_group_has_one_worker(tmp_path: Path, source: dict[str, Any]) -> None:
    found = load_stream(write_stream(tmp_path, source=source))
    assert len(worker_slots([found], 1, static=True)) == 1
    with pytest.raises(SettingsError, match="--workers 1"):
        worker_slots([found], 2, static=True)


# -- Who is to blame when a worker dies -----------------------------------------------------------


class Deaths:
    """A supervisor with one worker that dies as it is told."""

    def __init__(self, folder: Path) -> None:
        found = config(folder)
        [self.slot] = worker_slots([found], 1, static=False)
        self.slot.stream = StreamRow(1, "test", 3_600_000, 0, "live", None)
        self.slot.calls = [("live", 0, "one"), ("live", 1, "two")]
        self.supervisor = Supervisor([self.slot], Settings(), cast("Database", None), lambda: 0)

    def die(self, code: int, phase: Phase, column: int = NO_LF, *, counted: bool = False) -> None:
        heartbeat = Heartbeat()
        heartbeat.beat(phase, column)
        if counted:
            heartbeat.progressed()
        death = Death(code, heartbeat.read(), heartbeat.progress)
        self.supervisor._note_death(self.slot, death)
        heartbeat.close()

    @property
    def first_batch(self) -> int | None:
        return self.slot.deaths.first_batch(self.slot.config.limits.commit_records)

    @property
    def quarantined(self) -> str | None:
        pending = self.slot.pending_quarantine
        return None if pending is None else str(pending.args[3])


@pytest.mark.parametrize("code", [0, 3, -signal.SIGSEGV, -signal.SIGKILL])
def test_three_deaths_in_a_row_in_one_lf_quarantine_it(tmp_path: Path, code: int) -> None:
    deaths = Deaths(tmp_path)
    for _ in range(2):
        deaths.die(code, Phase.PROBING, 1)
        assert deaths.quarantined is None
    deaths.die(code, Phase.PROBING, 1)
    assert deaths.quarantined == "two"


def test_kills_from_outside_blame_no_lf_while_records_are_counted(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    for _ in range(10):
        deaths.die(-signal.SIGKILL, Phase.PROBING, 1, counted=True)
    assert deaths.quarantined is None


def test_deaths_in_other_lfs_or_phases_begin_the_count_anew(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    for column in (0, 0, 1, 1, 0):
        deaths.die(-signal.SIGSEGV, Phase.PROBING, column)
    for phase in (Phase.POLLING, Phase.STORING, Phase.STARTING):
        deaths.die(-signal.SIGSEGV, phase)
    deaths.die(-signal.SIGSEGV, Phase.PROBING, 0)
    assert deaths.quarantined is None


def test_after_a_death_over_a_batch_the_next_one_is_smaller(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    usual = deaths.slot.config.limits.commit_records
    assert deaths.first_batch is None
    sizes: list[int | None] = []
    for phase in (Phase.COUNTING, Phase.DECODING, Phase.POLLING):
        deaths.die(-signal.SIGKILL, phase)
        sizes.append(deaths.first_batch)
    assert sizes == [usual // 10, usual // 100, None]
    assert deaths.quarantined is None
