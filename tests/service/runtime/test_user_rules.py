"""Rules that people write, and times in which nobody is told, in the running service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.service.group import NOW, Group
from tests.service.jobs.test_scan import CALIBRATION, topic
from tests.service.streams_for_tests import HOUR, START, write_stream
from tests.service.transactions import read, write
from tidegauge_alerts.errors import RuleError
from tidegauge_alerts.messages.model import Message
from tidegauge_alerts.model import Alert
from tidegauge_alerts.transports import Delivered, Outcome
from tidegauge_service.clock import from_iso, to_iso
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.jobs.dispatcher import Dispatcher
from tidegauge_service.jobs.evaluator import Evaluator
from tidegauge_service.runtime.pipeline import open_pipeline
from tidegauge_service.store.alerting import alerts, outbox
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit
from tidegauge_service.store.scope import StreamScope

SILENT = CALIBRATION + 30
RULE = "coverage of mentions_free below 2 % for 3 windows"


def stream(folder: Path, database: Database, rules: Sequence[str]) -> Group:
    baseline = {"from": to_iso(START), "until": to_iso(START + CALIBRATION * HOUR)}
    limits = {"commit_records": 600}
    told = {"rules": list(rules), "receivers": ["ops"]}
    group = Group(folder, database, topic(), baseline=baseline, limits=limits, alerts=told)
    group.member().to_end()
    write(database, commit.close_windows, group.stream)
    return group


def evaluator(group: Group) -> Evaluator:
    return Evaluator(StreamScope(group.config, group.stream, group.database, lambda: NOW))


def of_rules(database: Database) -> list[Alert]:
    return [alert for alert in read(database, alerts.page, limit=1000) if alert.rule]


def test_a_rule_is_followed_beside_the_scan(database: Database, tmp_path: Path) -> None:
    judge = evaluator(stream(tmp_path, database, [RULE, RULE]))
    while judge.evaluate_next():
        pass
    [alert] = of_rules(database)
    assert (alert.rule, str(alert.kind), str(alert.state)) == (RULE, "rule", "resolved")
    assert alert.opened_window_ms == START + SILENT * HOUR
    assert alert.fired_window_ms == START + (SILENT + 2) * HOUR
    assert alert.resolved_window_ms == START + (SILENT + 17) * HOUR
    scanned = [
        a for a in read(database, alerts.page, limit=1000) if a.key == alert.key and not a.rule
    ]
    assert scanned, "the scan has its own alert of the series"

    told = []
    while (taken := write(database, outbox.lease, 10 * NOW, 1000)) is not None:
        told += [one["text"] for one in taken.message["alerts"] if one["rule"]]
        write(database, outbox.settle, taken, state=outbox.SENT, now_ms=NOW)
    assert [text.rpartition(":")[0] for text in told] == [
        f"rule broken: {RULE}",
        f"rule broken: {RULE} no longer",
    ]


def test_a_rule_that_is_gone_takes_its_alerts_with_it(database: Database, tmp_path: Path) -> None:
    group = stream(tmp_path, database, [RULE])
    judge = evaluator(group)
    while not any(str(a.state) == "firing" for a in of_rules(database)):
        assert judge.evaluate_next()
    without = group.config.alerts.model_copy(update={"rules": []})
    group.config = group.config.model_copy(update={"alerts": without})
    assert evaluator(group).evaluate_next()
    [alert] = of_rules(database)
    found = read(database, alerts.get, alert.id)
    assert found is not None
    assert [str(t.reason) for t in found[1]] == ["shifted", "confirmed", "withdrawn"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"rules": ["coverage of a under 1 %"]}, "alerts.rules.*is not a rule"),
        ({"mute": ["at night"]}, "alerts.mute.*not a time of the week"),
        ({"mute": ["00:00-24:00"]}, "no message would ever be sent"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_file(
    tmp_path: Path, rules: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(SettingsError, match=f"(?s)stream.yaml.*{says}"):
        load_stream(write_stream(tmp_path, alerts=rules))


def test_a_rule_about_no_lf_is_refused_when_the_stream_is_opened(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "records.jsonl").write_text("")
    path = write_stream(tmp_path, alerts={"rules": ["coverage of nobody below 1 %"]})
    with pytest.raises(RuleError, match="no LF 'nobody'; choose from mentions_free"):
        open_pipeline(load_stream(path), Settings(), database, lambda: NOW)


class _Receiver:
    """Says yes, and remembers."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def deliver(self, message: object, dedup_key: str) -> Outcome:  # noqa: ARG002
        self.heard.append(dedup_key)
        return Delivered()


def test_messages_wait_while_nobody_is_told(database: Database, tmp_path: Path) -> None:
    now = from_iso("2026-03-07T12:00:00Z")  # a Saturday
    group = Group(tmp_path, database, [[]], alerts={"mute": ["sat,sun 00:00-24:00"]})
    with database.write() as connection:
        outbox.enqueue(connection, group.stream.id, ["ops"], Message("a", {}), now_ms=now)
    receiver, clock = _Receiver(), [now]
    dispatcher = Dispatcher(database, {"ops": receiver}, lambda: clock[0])
    assert dispatcher.tick() == 0
    clock[0] = from_iso("2026-03-08T23:59:59Z")
    assert dispatcher.tick() == 0
    clock[0] = from_iso("2026-03-09T00:00:00Z")
    assert dispatcher.tick() == 1
    assert receiver.heard == ["a"]
