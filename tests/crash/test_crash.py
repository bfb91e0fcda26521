"""The short version of the proof. The long one: `make crash SECONDS=3600 SEED=1`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import storms
from tests.crash.faults import KILLS
from tests.crash.hunts import HUNTS, Ground
from tests.crash.mutants import MUTANTS
from tests.crash.scenes import Outcome
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = 1


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def assert_exact(outcome: Outcome) -> None:
    assert not outcome.differences.lines, "\n".join(outcome.differences.lines[:20])
    assert outcome.records
    assert outcome.windows
    assert outcome.dead_letters


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_storm_over_kafka_and_postgres_changes_nothing() -> None:
    """As a command, which the long version is, too; its last line is the result."""
    command = [sys.executable, "-m", "tests.crash", "--seconds=20", f"--seed={SEED}", "--only"]
    done = subprocess.run([*command, "kafka"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-5_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["difference"], found["alerts_difference"]) == (0, 0)
    assert all(found[name] for name in ("records", "windows", "dead_letters", "notifications"))
    assert found["kills"]
    assert found["server_restarts"] + found["broker_restarts"]


def test_a_storm_over_files_and_sqlite_changes_nothing(tmp_path: Path) -> None:
    outcome = storms.over_files(tmp_path / "files", seed=SEED, seconds=10, rate=250, say=print)
    assert_exact(outcome)
    assert any(outcome.struck[name] for name in KILLS)
    assert outcome.struck["disk_full"]


def test_a_storm_over_events_and_sqlite_changes_nothing(tmp_path: Path) -> None:
    outcome = storms.over_events(tmp_path / "events", seed=SEED, seconds=10, rate=200, say=print)
    assert_exact(outcome)
    assert any(outcome.struck[name] for name in KILLS)


def test_every_mutant_is_hunted() -> None:
    assert HUNTS.keys() == MUTANTS.keys()


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["closers_lock_removed"])
def test_the_scenes_of_mutants_are_exact_without_them(
    tmp_path: Path, postgres: PostgresServer, name: str
) -> None:
    assert_exact(HUNTS[name](Ground(tmp_path / "scene", SEED, postgres, print), {}))


@pytest.mark.postgres
@pytest.mark.parametrize("name", HUNTS)
def test_a_mutant_is_caught(tmp_path: Path, postgres: PostgresServer, name: str) -> None:
    outcome = HUNTS[name](Ground(tmp_path / "scene", SEED, postgres, print), {"mutant": name})
    assert outcome.differences.kinds.keys() & MUTANTS[name].kinds
