"""What a worker does when a deployment is not where it was deployed from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.group import NOW
from tests.service.redeployed import SOMEBODY, Redeployed
from tests.service.runtime.test_consumer import Seated, service
from tests.service.streams_for_tests import HOUR, START
from tidegauge_alerts.backoff import Backoff
from tidegauge_probes import Record, load
from tidegauge_probes.errors import ProbeError
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.deployments import changes
from tidegauge_service.deployments.changes import Wanted
from tidegauge_service.ingest.deployed import current_deployments
from tidegauge_service.ingest.deployed.probe_set_cache import ProbeSetCache
from tidegauge_service.runtime import consumer
from tidegauge_service.runtime.pipeline import open_pipeline
from tidegauge_service.store.deployments import Deployment, Reference
from tidegauge_service.store.engine import Database

MODULE = """
from tidegauge_probes import ProbeSet, labeling_function

@labeling_function()
def thanks(x):
    return 0 if "thanks" in x.text else -1

LFS = ProbeSet.of([thanks], classes=["HAM", "SPAM"])
"""


def python(group: Redeployed, folder: Path, name: str) -> Wanted:
    """Return LFs of a module that is in place only while they are loaded."""
    file = folder / f"{name}.py"
    file.write_text(MODULE)
    probe_set = load(f"{name}:LFS", folder)
    group.names[probe_set.id] = ("thanks",)
    take_away(file)
    return Wanted(probe_set, f"{name}:LFS", Reference("a baseline"))


def take_away(file: Path) -> None:
    file.unlink()
    sys.modules.pop(file.stem, None)


def deployed(group: Redeployed, wanted: Wanted) -> Deployment:
    return changes.deploy(group.database, group.stream, wanted, SOMEBODY)


def test_templates_need_no_file(sqlite_database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 24))
    member = group.member()
    member.worker.step()
    member.worker.step()
    group.deploy(1)
    for file in tmp_path.glob("probes*.yaml"):
        file.unlink()
    deployments = ProbeSetCache(group.config).open(group.database, group.stream)
    assert [v.probe_set for v in deployments.live] == group.sets[:2]
    member.to_end()
    group.assert_whole()


def test_a_live_deployment_that_is_not_here_is_waited_for_and_nothing_is_lost(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PAUSE", Backoff(0.01, 0.02))
    monkeypatch.setattr(current_deployments, "REFRESH_EVERY_S", 0.0)
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 24))
    first = group.member()
    first.worker.step()
    first.worker.step()
    deployed(group, python(group, tmp_path, "lfs_that_come_later"))
    source = Seated(group.topic)
    running, worker = service(group, source)
    running.start()
    try:
        wait_until(lambda: source.rests > 3, what="the worker to wait")
        problem = running.health.first()
        assert group.partitions()[0].next_offset == 7, "nothing is counted meanwhile"
        (tmp_path / "lfs_that_come_later.py").write_text(MODULE)
        wait_until(lambda: worker.drained, what="the end")
    finally:
        running.stop()
        take_away(tmp_path / "lfs_that_come_later.py")
    assert problem is not None
    assert "cannot import 'lfs_that_come_later'" in problem
    assert "Restore that file" in problem
    group.assert_whole()


def test_a_live_deployment_that_is_not_here_is_rolled_back_before_it_counts(
    sqlite_database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 24))
    member = group.member()
    member.worker.step()
    member.worker.step()
    bad = deployed(group, python(group, tmp_path, "lfs_that_never_come"))
    with pytest.raises(ProbeError, match="cannot import 'lfs_that_never_come'"):
        group.member().to_end()
    assert group.roll_back().from_ms == bad.from_ms, "not one of its windows has come"
    group.member().to_end()
    group.assert_whole()
    assert {probe_set for _, _, probe_set in group.panes()} == {group.sets[0].id}


def test_a_shadow_that_is_not_here_stops_nobody(sqlite_database: Database, tmp_path: Path) -> None:
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 24))
    wanted = python(group, tmp_path, "lfs_of_a_shadow")
    changes.shadow(group.database, group.stream, wanted, SOMEBODY)
    with capture_logs() as logs:
        group.member().to_end()
    assert "shadow_not_loaded" in [entry["event"] for entry in logs]
    assert {probe_set for _, _, probe_set in group.panes()} == {group.sets[0].id}
    assert sum(tally["_all records"] for tally in group.panes().values()) == 24


def test_columns_name_the_lfs_of_all_deployments(sqlite_database: Database, tmp_path: Path) -> None:
    """The watchdog hears of a column, and blames that LF of that ProbeSet."""
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 24))
    member = group.member()
    member.worker.step()
    member.worker.step()
    group.deploy(1)
    group.shadow(2)
    deployments = ProbeSetCache(group.config).open(group.database, group.stream)
    a, b, c = (probe_set.id for probe_set in group.sets)
    assert list(deployments.columns) == [
        (a, 0, "mentions_free"),
        (a, 1, "thanks"),
        (a, 2, "short"),
        (b, 0, "mentions_free"),
        (b, 1, "short"),
        (c, 0, "thanks"),
    ]
    of = [START, START + 2 * HOUR]
    records = [Record(f"r{ms}", ms, {"text": "thanks", "country": "DE"}) for ms in of]
    entered = list[int]()
    votes = deployments.run(
        records, quarantined={b: [1]}, entering=lambda column, _: entered.append(column)
    )
    assert entered == [0, 1, 2, 3, 5], "a quarantined one is not called"
    assert [[record.id for record in some.records] for some in votes] == [
        [f"r{of[0]}"],
        [f"r{of[1]}"],
        [f"r{of[1]}"],
    ]
    assert [some.live for some in votes] == [True, True, False]
    later = deployments.still_open(deployments.live[1].deployment.from_ms)
    assert [v.probe_set.id for v in (*later.live, *later.shadows)] == [b, c]
    assert [v.first_column for v in (*later.live, *later.shadows)] == [3, 5]


def test_a_stream_file_that_was_not_edited_runs_with_what_is_live(
    sqlite_database: Database, tmp_path: Path
) -> None:
    group = Redeployed(tmp_path, sqlite_database, oracle.topic(1, 12))
    group.deploy(1)
    source = Seated(group.topic)
    with capture_logs() as logs:
        pipeline = open_pipeline(
            load_stream(tmp_path / "stream.yaml"),
            Settings(),
            group.database,
            lambda: NOW,
            source=source,
        )
    assert "probes_not_live" in [entry["event"] for entry in logs]
    while not pipeline.worker.drained:
        pipeline.worker.step(finite=True)
    group.assert_whole()
    assert {probe_set for _, _, probe_set in group.panes()} == {group.sets[1].id}
    pipeline.close()
