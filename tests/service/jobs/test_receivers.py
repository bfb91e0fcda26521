"""What hangs delays itself: not the windows, not another receiver, not another stream."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.alerts.hooks import Hook
from tests.servers.waiting import wait_until
from tests.service import oracle
from tests.service.group import NOW, Group
from tests.service.memory_source import MemorySource
from tests.service.runtime.test_consumer import service
from tests.service.transactions import read, write
from tidegauge_alerts.messages.model import Message
from tidegauge_alerts.transports import Delivered, Retry, Transport
from tidegauge_alerts.transports.protocol import Outcome, Refused
from tidegauge_service.config.settings import Settings
from tidegauge_service.jobs import receivers
from tidegauge_service.jobs.dispatcher import Dispatcher
from tidegauge_service.jobs.receivers import Receivers, WatchedTransport
from tidegauge_service.runtime import consumer
from tidegauge_service.runtime.consumer import Service
from tidegauge_service.runtime.health import Health
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.engine import Database
from tidegauge_service.store.windows import queries


@contextmanager
def silent_server() -> Iterator[str]:
    """Give the address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"


class Hanging:
    """A transport that does not come back until it may: a resolver takes no timeout."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may = threading.Event()

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        del message, dedup_key
        self.asked.set()
        self.may.wait(60)
        return Retry("it hung")


class Counting:
    """A transport that says what it is told to."""

    def __init__(self, outcome: Outcome | Exception) -> None:
        self.outcome = outcome
        self.keys = list[str]()

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        del message
        self.keys.append(dedup_key)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def enqueue(group: Group, receiver: str, *keys: str) -> None:
    with group.database.write() as connection:
        for key in keys:
            outbox.enqueue(connection, group.stream.id, [receiver], Message(key, {}), now_ms=0)


def test_a_silent_receiver_stops_neither_windows_nor_other_receivers(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "HANGS_S", 0.2)
    group = Group(tmp_path, sqlite_database, oracle.topic(2, 200))
    hook = Hook()
    with silent_server() as silent:
        settings = Settings(
            receivers={
                "slow": {"kind": "webhook", "url": silent, "allow_private": True, "timeout_s": 30},
                "ops": {
                    "kind": "webhook",
                    "url": f"http://127.0.0.1:{hook.port}/",
                    "allow_private": True,
                },
            }
        )
        enqueue(group, "slow", *(f"s{n}" for n in range(20)))
        enqueue(group, "ops", *(f"o{n}" for n in range(20)))
        running, worker = service(group, MemorySource(group.topic), settings)
        running.start()
        try:
            wait_until(lambda: len(hook.requests) == 20, timeout=20, what="the other's messages")
            wait_until(running.health.warnings, timeout=20, what="a warning")
            wait_until(lambda: worker.drained, timeout=20, what="the end of the traffic")
            wait_until(lambda: evaluated(group), timeout=20, what="the windows")
            [warning] = running.health.warnings()
            assert warning.startswith("receiver:slow: ")
            assert "not answered" in warning
            assert running.health.first() is None, "tidegauge itself is ready"
        finally:
            running.stop()  # in spite of 30 s
            hook.close()
    group.assert_exact()


def evaluated(group: Group) -> int:
    return read(group.database, queries.summary, group.stream).windows


def test_a_slow_evaluation_holds_up_no_other_job(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WATCH_SECONDS", 0.1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    slow = Group(tmp_path / "a", sqlite_database, oracle.topic(1, 20), name="slow")
    quick = Group(tmp_path / "b", sqlite_database, oracle.topic(1, 50), name="quick")
    pipelines = [
        service(group, MemorySource(group.topic), Settings())[0]._pipelines[0]
        for group in (slow, quick)
    ]
    begun, may = threading.Event(), threading.Event()
    watched = threading.Event()

    def hang() -> int:
        begun.set()
        may.wait(60)
        return 0

    monkeypatch.setattr(pipelines[0].evaluator, "tick", hang)
    monkeypatch.setattr(pipelines[0].watch, "tick", watched.set)
    running = Service(sqlite_database, pipelines, Settings(), lambda: NOW)
    running.start()
    try:
        assert begun.wait(20)
        wait_until(lambda: evaluated(quick), timeout=20, what="the other stream's windows")
        assert watched.wait(20), "and its own watermark is watched"
    finally:
        may.set()
        running.stop()


def test_every_receiver_is_tried_while_one_hangs_or_fails(
    sqlite_database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, sqlite_database, [[]])
    hanging, good = Hanging(), Counting(Delivered())
    refusing, broken = Counting(Refused("it answered 404")), Counting(RuntimeError("a bug"))
    transports: dict[str, Transport] = {
        "hanging": hanging,
        "good": good,
        "refusing": refusing,
        "broken": broken,
    }
    for name in (*transports, "unknown"):
        enqueue(group, name, f"{name}-1", f"{name}-2")
    delivering = Receivers(group.database, transports, lambda: NOW)
    with capture_logs() as logs:
        delivering.deliver_once()
        assert hanging.asked.wait(20)
        wait_until(lambda: len(good.keys) + len(refusing.keys) == 4, what="the others")
        delivering.join(0.1)
        hanging.may.set()
        delivering.join(20)
    assert broken.keys == ["broken-1"], "the rest of it comes with the next tick"
    troubles = delivering.troubles()
    assert troubles["good"] is None
    assert troubles["refusing"] == "it answered 404"
    assert troubles["hanging"] == "it hung"
    assert "unexpected" in str(troubles["broken"])
    assert {e["receiver"] for e in logs if e["event"] == "notification_failed"} == {
        "refusing",
        "unknown",
    }


def test_a_receiver_that_refuses_for_one_reason_is_logged_once_until_it_takes_a_message(
    sqlite_database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, sqlite_database, [[]])
    receiver = Counting(Refused("it is private"))
    sending = Dispatcher(group.database, {"ops": receiver}, lambda: NOW)

    def send(*keys: str) -> list[str]:
        enqueue(group, "ops", *keys)
        with capture_logs() as logs:
            assert sending.tick() == len(keys)
        return [line["why"] for line in logs]

    assert send("1", "2", "3") == ["it is private"]
    receiver.outcome = Refused("it answered 404")
    assert send("4", "5") == ["it answered 404"], "another cause"
    receiver.outcome = Refused("it is private")
    assert send("6") == []
    receiver.outcome = Delivered()
    assert send("7") == []
    receiver.outcome = Refused("it is private")
    assert send("8", "9") == ["it is private"], "it had worked meanwhile"


def test_messages_go_to_the_sender_whose_they_are(
    sqlite_database: Database, tmp_path: Path
) -> None:
    group = Group(tmp_path, sqlite_database, [[]])
    enqueue(group, "a", "1")
    enqueue(group, "b", "2")
    whose = {
        "a": outbox.Whose(only=("a",)),
        "c": outbox.Whose(only=("c",)),
        "none": outbox.Whose(only=()),
        "not a": outbox.Whose(other_than=("a",)),
        "neither": outbox.Whose(other_than=("a", "b")),
        "all": outbox.EVERYBODY,
    }
    due = {name: read(group.database, outbox.is_due, NOW, 1_000, w) for name, w in whose.items()}
    assert due == {
        "a": True,
        "c": False,
        "none": False,
        "not a": True,
        "neither": False,
        "all": True,
    }
    taken = write(group.database, outbox.lease, NOW, 1_000, whose=whose["not a"])
    assert taken is not None
    assert taken.dedup_key == "2"
    assert not read(group.database, outbox.is_due, NOW, 1_000, whose["not a"])
    assert write(group.database, outbox.lease, NOW, 1_000, whose=whose["c"]) is None


def test_a_receiver_is_in_trouble_until_it_says_yes() -> None:
    now, inner = [0.0], Counting(Delivered())
    watched = WatchedTransport(inner, lambda: now[0])
    for outcome, trouble in (
        (Retry("no answer within 10 s"), "no answer within 10 s"),
        (Delivered(), None),
        (Refused("it answered 410"), "it answered 410"),
        (Delivered(), None),
    ):
        inner.outcome = outcome
        assert watched.deliver({}, "k") == outcome
        assert watched.trouble == trouble


def test_a_receiver_in_trouble_is_a_warning_also_of_a_worker() -> None:
    health = Health()
    health.report("receiver:ops", "it answered 404")
    health.report("spam-1 receiver:pager", "no answer")
    assert health.first() is None
    assert health.warnings() == [
        "receiver:ops: it answered 404",
        "spam-1 receiver:pager: no answer",
    ]
    health.report("ingest-spam", "the database is down")
    assert health.first() == "ingest-spam: the database is down"
    for part in ("receiver:ops", "spam-1 receiver:pager"):
        health.report(part, None)
    assert health.warnings() == []
