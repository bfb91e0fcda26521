"""Each window is judged by the deployment that was live in it, with that deployment's baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.service import oracle
from tests.service.group import NOW
from tests.service.ingest.test_replay import SMALL, padded
from tests.service.redeployed import SOMEBODY, Redeployed
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read, write
from tidegauge_alerts.model import Alert
from tidegauge_probes import engine
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.errors import BaselineError
from tidegauge_service.clock import to_iso
from tidegauge_service.deployments import changes
from tidegauge_service.deployments.changes import Wanted
from tidegauge_service.errors import ChangeRefused
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.replay import Outcome, Replay
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.store import baselines as stored
from tidegauge_service.store import deployment_counts, deployments, schema
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.deployments import Deployment, Reference
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import REPLAYED, Role

EACH, CALIBRATION, HOURS = 60, 30, 70


def topic(hours: int = HOURS, *, free_from: int = HOURS) -> list[list[bytes]]:
    """Return hours of records; from one of them on every text is free."""
    free = list(oracle.TEXTS).index("free")
    return [
        [
            oracle.message(
                hour * EACH + n,
                free if hour >= free_from else hour * 31 + n * 5 + n // 7,
                ms=START + hour * HOUR + n * 1000,
            )
            for hour in range(hours)
            for n in range(EACH)
        ]
    ]


class Judged(Redeployed):
    """A group that is evaluated; its own baseline is of its first hours."""

    def __init__(
        self, folder: Path, database: Database, inputs: list[list[bytes]], **changes: Any
    ) -> None:
        until = to_iso(START + CALIBRATION * HOUR)
        super().__init__(
            folder,
            database,
            inputs,
            baseline={"from": to_iso(START), "until": until},
            limits={"commit_records": EACH},
            samples={"each": 0, "blind_spot": 0},
            **changes,
        )
        with database.write() as connection:  # as the stream was made: it is to be fitted
            connection.execute(sa.update(schema.deployment).values(baseline=None))
        self.reader = self.member()

    def judge_until(self, hour: int) -> None:
        """Read so many hours, close what that allows, and evaluate it."""
        while self.partitions()[0].next_offset < hour * EACH:
            self.reader.worker.step()
        if hour == HOURS:
            self.reader.to_end()
        write(self.database, commit.close_windows, self.stream)
        evaluator = Evaluator(StreamScope(self.config, self.stream, self.database, lambda: NOW))
        while evaluator.evaluate_next():
            pass

    def windows(self) -> list[Any]:
        """Return the evaluated windows, in order."""
        t = schema.window
        with self.database.read() as connection:
            return list(connection.execute(sa.select(t).order_by(t.c.window_start_ms)))

    def alerts(self, which: int) -> list[tuple[Alert, list[str]]]:
        """Return the alerts of a deployment with the reasons of their changes."""
        found = read(self.database, alerts.page, limit=1000)
        mine = [alert for alert in found if alert.probe_set == self.sets[which].id]
        histories = [read(self.database, alerts.get, alert.id) for alert in mine]
        return [(h[0], [str(t.reason) for t in h[1]]) for h in histories if h]

    def fitted(self, which: int, name: str) -> str:
        """Fit a baseline for a ProbeSet to the hours of the calibration."""
        probe_set, panes = self.sets[which], {}
        for hour in range(CALIBRATION):
            rows = self.topic[0][hour * EACH : (hour + 1) * EACH]
            matrix = engine.run(probe_set, [json.loads(row) for row in rows])
            panes[START + hour * HOUR] = counts.fold(matrix, probe_set.cardinality, {})
        found = baselines.fit(
            panes, layout=probe_set.layout, probe_set=probe_set.id, window_ms=HOUR, source={}
        )
        with self.database.write() as connection:
            stored.save(connection, found, name, NOW)
        return found.id

    def wanted(self, which: int) -> Wanted:
        return replace(super().wanted(which), compared=Reference())

    def deploy_fitted(self, which: int) -> Deployment:
        compared = Reference(self.fitted(which, f"base {which}"))
        wanted = replace(self.wanted(which), compared=compared)
        return changes.deploy(self.database, self.stream, wanted, SOMEBODY)


def test_each_window_is_judged_by_its_deployment_with_its_baseline(
    database: Database, tmp_path: Path
) -> None:
    """And the way back: the old deployment returns with the baseline that it had."""
    group = Judged(tmp_path, database, topic())
    group.judge_until(40)
    second = group.deploy_fitted(1)
    group.judge_until(50)
    third = group.roll_back()
    group.judge_until(HOURS)
    assert [(d.from_ms - START) // HOUR for d in (second, third)] == [40, 50]
    rows = group.windows()
    assert {row.records for row in rows} == {EACH}
    old, new = (group.sets[which].id for which in (0, 1))
    assert [row.probe_set for row in rows] == [old] * 40 + [new] * 10 + [old] * (HOURS - 50)
    of = [{row.baseline for row in rows[a:b]} for a, b in ((30, 40), (40, 50), (50, 58))]
    assert of == [{third.baseline}, {second.baseline}, {third.baseline}]
    assert {row.state for row in rows[58:]} == {"compared"}, "48 of its own windows are enough"
    assert {row.state for row in rows[:30]} == {"baseline"}
    assert third.baseline not in {None, second.baseline}


def test_alerts_end_with_their_deployment_and_open_again_with_the_next(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic(free_from=36))
    group.judge_until(40)
    assert group.alerts(0)
    assert {str(alert.state) for alert, _ in group.alerts(0)} == {"firing"}
    group.deploy_fitted(1)
    group.judge_until(45)
    for alert, reasons in group.alerts(0):
        assert (str(alert.state), reasons[-1]) == ("resolved", "redeployed")
        assert alert.resolved_window_ms == START + 40 * HOUR
    assert {alert.opened_window_ms for alert, _ in group.alerts(1)} >= {START + 40 * HOUR}
    assert {alert.key.probe for alert, _ in group.alerts(1)} <= {"mentions_free", "short", ""}
    group.roll_back()
    group.judge_until(HOURS)
    assert {reasons[-1] for _, reasons in group.alerts(1)} == {"redeployed"}
    reopened = [alert for alert, _ in group.alerts(0) if str(alert.state) == "firing"]
    assert {alert.opened_window_ms for alert in reopened} >= {START + 45 * HOUR}


def test_alerts_end_even_while_the_next_deployment_is_compared_with_nothing(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic(free_from=36))
    group.judge_until(40)
    compared = Reference(None, (START + 45 * HOUR, START + 60 * HOUR))
    wanted = replace(group.wanted(1), compared=compared)
    changes.deploy(database, group.stream, wanted, SOMEBODY)
    group.judge_until(HOURS)
    assert {reasons[-1] for _, reasons in group.alerts(0)} == {"redeployed"}
    states = [row.state for row in group.windows()]
    assert states[40:45] == ["before"] * 5
    assert states[45:60] == ["baseline"] * 15
    assert set(states[60:]) <= {"compared", "learning"}
    live = deployments.current(group.known(), Role.LIVE)
    assert live is not None
    assert live.baseline == group.windows()[-1].baseline, "it was fitted from its own windows"


def test_a_shadow_is_counted_and_never_alerts(database: Database, tmp_path: Path) -> None:
    group = Judged(tmp_path, database, topic(free_from=36))
    group.shadow(1)
    group.judge_until(HOURS)
    group.assert_whole()
    assert {row.probe_set for row in group.windows()} == {group.sets[0].id}
    assert group.alerts(0), "the live one has seen it"
    assert group.alerts(1) == []
    seen = read(database, deployment_counts.page, group.stream, group.sets[1].id)
    assert [figures.records for _, figures in seen] == [EACH] * HOURS
    last = seen[-1][1]
    assert {lf.probe: (lf.votes, lf.errors) for lf in last.lfs} == {
        "mentions_free": ({"SPAM": EACH}, 0),
        "short": ({"HAM": EACH}, 0),
    }
    both = read(
        database, deployment_counts.side_by_side, group.stream, group.sets[0].id, group.sets[1].id
    )
    assert both.before is not None
    assert both.after is not None
    assert (len(both.starts), both.before.records) == (HOURS, EACH * HOURS)
    assert both.after.lfs[0].votes == both.before.lfs[0].votes, "of the same records"


def test_a_promoted_shadow_is_compared_with_what_it_has_counted(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic(free_from=60))
    group.judge_until(5)
    shadow = group.shadow(1)
    with pytest.raises(ChangeRefused, match="no closed window to freeze a baseline from"):
        changes.promote(database, group.stream, SOMEBODY)
    group.judge_until(50)
    live = changes.promote(database, group.stream, SOMEBODY)
    group.judge_until(HOURS)
    group.assert_whole()
    assert (live.from_ms, live.made_as) == (START + 50 * HOUR, "promote")
    with database.read() as connection:
        baseline = stored.load(connection, str(live.baseline))
    assert list(baseline.starts) == list(range(shadow.from_ms, START + 48 * HOUR, HOUR))
    rows = group.windows()
    assert [row.probe_set for row in rows[49:51]] == [group.sets[0].id, shadow.probe_set]
    assert rows[50].baseline == live.baseline
    assert {alert.opened_window_ms for alert, _ in group.alerts(1)} >= {START + 60 * HOUR}
    ended = next(d for d in group.known() if d.id == shadow.id)
    assert (ended.until_ms, ended.ended_by) == (live.from_ms, SOMEBODY.name)


def test_a_shadow_may_be_promoted_with_a_baseline_of_its_own(
    database: Database, tmp_path: Path
) -> None:
    group = Judged(tmp_path, database, topic())
    group.shadow(1)
    group.fitted(2, "of others")
    with pytest.raises(BaselineError, match="belongs to ProbeSet"):
        changes.promote(database, group.stream, SOMEBODY, baseline="of others")
    mine = group.fitted(1, "mine")
    before = group.known()
    with pytest.raises(BaselineError, match="there is no baseline 'min'; did you mean 'mine'"):
        changes.promote(database, group.stream, SOMEBODY, baseline="min")
    assert group.known() == before
    made = changes.promote(database, group.stream, SOMEBODY, baseline="mine")
    assert made.baseline == mine


def test_dead_letters_are_replayed_into_the_windows_of_their_deployments(
    database: Database, tmp_path: Path
) -> None:
    """Two are of a window that the deployment before has counted in part, two of the new one's."""
    good = oracle.topic(1, 24)[0]
    large = {n: padded(good[n]) for n in (7, 8, 19, 20)}
    inputs = [large.get(n, value) for n, value in enumerate(good)]
    group = Redeployed(
        tmp_path,
        database,
        [inputs],
        limits={"commit_records": 12, "max_record_bytes": SMALL, "dead_letter_share": 1.0},
    )
    member = group.member()
    member.worker.step()
    member.worker.step()
    assert group.deploy(1).from_ms == START + 2 * HOUR
    member.to_end()
    mended = group.config.model_copy(
        update={"limits": group.config.limits.model_copy(update={"max_record_bytes": 10_000})}
    )
    replay = Replay(
        StreamScope(mended, group.stream, database, lambda: NOW), group.probe_set, owner="test"
    )
    assert replay.run() == Outcome(counted=4)
    old, new = group.sets[0].id, group.sets[1].id
    panes = group.panes()
    assert {place[1:]: tally["_all records"] for place, tally in panes.items()} | {
        place[1:]: tally["_all records"] for place, tally in panes.items() if place[0] == REPLAYED
    } == {
        (START, old): 6,
        (START + HOUR, old): 2,
        (START + 2 * HOUR, new): 6,
        (START + 3 * HOUR, new): 2,
    }
    texts = [json.loads(value) for value in (large[7], large[8])]
    assert panes[REPLAYED, START + HOUR, old] == oracle.tally_records(texts)


def test_a_replay_that_is_overtaken_by_a_deployment_is_done_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [padded(value) for value in oracle.topic(1, 6)[0]]
    group = Redeployed(
        tmp_path,
        database,
        [inputs],
        limits={"max_record_bytes": SMALL, "dead_letter_share": 1.0},
    )
    group.member().to_end()
    mended = group.config.model_copy(
        update={"limits": group.config.limits.model_copy(update={"max_record_bytes": 10_000})}
    )
    replay = Replay(
        StreamScope(mended, group.stream, database, lambda: NOW), group.probe_set, owner="test"
    )
    original, due = transaction.commit, [1]

    def held(*args: Any, **more: Any) -> int | None:
        if due:
            due.pop()
            group.deploy(1)
        return original(*args, **more)

    monkeypatch.setattr(transaction, "commit", held)
    assert replay.run() == Outcome(counted=6)
    assert {place[2] for place in group.panes()} == {group.sets[1].id}
    assert oracle.dead(database, group.stream) == []
