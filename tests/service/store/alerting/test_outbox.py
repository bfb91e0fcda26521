from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.service.group import Group
from tests.service.ingest.test_exactness import in_threads
from tests.service.transactions import write
from tidegauge_alerts.messages.model import Message
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.alerting.outbox import FAILED, FARTHEST_MS, SENT, WAITING, Outgoing
from tidegauge_service.store.engine import Database

LEASE = 30_000


@pytest.fixture
def stream_id(database: Database, tmp_path: Path) -> int:
    return Group(tmp_path, database, [[]]).stream.id


def enqueue(
    database: Database, stream_id: int, key: str, *, now_ms: int = 0, receiver: str = "ops"
) -> None:
    with database.write() as connection:
        message = Message(key, {"key": key, "text": "ö\n"})
        outbox.enqueue(connection, stream_id, [receiver], message, now_ms=now_ms)


def drain(database: Database, now_ms: int) -> list[str]:
    """Send everything that is due."""
    sent = list[str]()
    while (taken := write(database, outbox.lease, now_ms, LEASE)) is not None:
        write(database, outbox.settle, taken, state=SENT, now_ms=now_ms)
        sent.append(taken.dedup_key)
    return sent


def test_a_message_goes_out_as_it_was_written_and_once(database: Database, stream_id: int) -> None:
    enqueue(database, stream_id, "a", now_ms=5)
    taken = write(database, outbox.lease, 10, LEASE)
    assert taken == Outgoing(1, "ops", "a", {"key": "a", "text": "ö\n"}, 0, 5, 10 + LEASE)
    write(database, outbox.settle, taken, state=SENT, now_ms=11)
    assert write(database, outbox.lease, 10**9, LEASE) is None


def test_an_empty_outbox_has_nothing(database: Database) -> None:
    assert write(database, outbox.lease, 0, LEASE) is None


def test_the_same_key_for_the_same_receiver_is_one_message(
    database: Database, stream_id: int
) -> None:
    for receiver in ("ops", "ops", "pager"):
        enqueue(database, stream_id, "a", receiver=receiver)
    assert drain(database, 0) == ["a", "a"]
    enqueue(database, stream_id, "a")
    assert drain(database, 10**9) == [], "what was sent is not sent again"


def test_what_is_due_longest_goes_first(database: Database, stream_id: int) -> None:
    for key, due in (("c", 30), ("a", 10), ("late", 99), ("b", 10), ("first", 5)):
        enqueue(database, stream_id, key, now_ms=due)
    assert drain(database, 50) == ["first", "a", "b", "c"]
    assert drain(database, 98) == []
    assert drain(database, 99) == ["late"]


def test_a_message_under_lease_is_nobody_elses_until_the_lease_ends(
    database: Database, stream_id: int
) -> None:
    enqueue(database, stream_id, "a")
    first = write(database, outbox.lease, 0, LEASE)
    assert first
    assert write(database, outbox.lease, LEASE - 1, LEASE) is None
    second = write(database, outbox.lease, LEASE, LEASE)
    assert second
    assert second.id == first.id


def test_a_message_of_a_clock_that_stood_ahead_is_not_waited_for(
    database: Database, stream_id: int
) -> None:
    now = 3 * FARTHEST_MS
    enqueue(database, stream_id, "soon", now_ms=now + FARTHEST_MS)
    enqueue(database, stream_id, "ahead", now_ms=now + FARTHEST_MS + 1)
    assert drain(database, now) == ["ahead"]


def test_a_lease_of_a_clock_that_stood_ahead_is_not_waited_for(
    database: Database, stream_id: int
) -> None:
    enqueue(database, stream_id, "a")
    assert write(database, outbox.lease, FARTHEST_MS, LEASE)
    assert write(database, outbox.lease, FARTHEST_MS - LEASE, LEASE) is None
    assert write(database, outbox.lease, FARTHEST_MS - LEASE - 1, LEASE)


def test_only_the_holder_of_the_lease_settles(database: Database, stream_id: int) -> None:
    enqueue(database, stream_id, "a")
    slow = write(database, outbox.lease, 0, LEASE)
    quick = write(database, outbox.lease, LEASE, LEASE)
    assert slow
    assert quick
    write(database, outbox.settle, slow, state=FAILED, now_ms=LEASE, error="too late to tell")
    assert write(database, outbox.lease, 2 * LEASE - 1, LEASE) is None, "the lease still holds"
    write(
        database,
        outbox.settle,
        quick,
        state=WAITING,
        now_ms=LEASE,
        due_ms=LEASE + 500,
        error="busy",
    )
    write(database, outbox.settle, quick, state=SENT, now_ms=LEASE)
    assert write(database, outbox.lease, LEASE + 499, LEASE) is None
    again = write(database, outbox.lease, LEASE + 500, LEASE)
    assert again
    assert again.attempts == 1


def test_a_resolve_never_overtakes_the_firing_that_is_being_retried(
    database: Database, stream_id: int
) -> None:
    """It would open again what is over, at receivers that keep a state, for good."""

    def of_incident(key: str, incident: str, receiver: str = "ops", after_ms: int = 0) -> None:
        body = {"key": key, "group_key": incident}
        with database.write() as connection:
            outbox.enqueue(
                connection, stream_id, [receiver], Message(key, body), now_ms=0, after_ms=after_ms
            )

    of_incident("firing", "spam:1")
    firing = write(database, outbox.lease, 0, LEASE)
    assert firing
    of_incident("resolved", "spam:1")
    of_incident("other incident", "spam:2")
    of_incident("other receiver", "spam:1", "pager")
    assert drain(database, 1) == ["other incident", "other receiver"], "under lease"
    with database.read() as connection:
        assert not outbox.is_due(connection, 1, LEASE)
    write(database, outbox.settle, firing, state=WAITING, now_ms=1, due_ms=900_000, error="busy")
    assert drain(database, 899_999) == []
    assert drain(database, 900_000) == ["firing", "resolved"]


@pytest.mark.parametrize("state", [SENT, FAILED])
def test_a_message_that_is_settled_holds_up_nothing(
    database: Database, stream_id: int, state: str
) -> None:
    with database.write() as connection:
        for key in ("firing", "resolved"):
            message = Message(key, {"group_key": "spam:1"})
            outbox.enqueue(connection, stream_id, ["ops"], message, now_ms=0)
    firing = write(database, outbox.lease, 0, LEASE)
    assert firing
    assert firing.dedup_key == "firing"
    write(database, outbox.settle, firing, state=state, now_ms=0)
    assert drain(database, 0) == ["resolved"]


def test_a_message_that_is_scheduled_for_later_holds_up_nothing(
    database: Database, stream_id: int
) -> None:
    with database.write() as connection:
        for key, after_ms in (("resolves later", 1_000), ("fires again", 0)):
            message = Message(key, {"group_key": "spam:1"})
            outbox.enqueue(connection, stream_id, ["ops"], message, now_ms=0, after_ms=after_ms)
    assert drain(database, 0) == ["fires again"]
    assert drain(database, 1_000) == ["resolves later"]


@pytest.mark.parametrize("state", [SENT, FAILED])
def test_what_is_settled_for_good_is_not_taken_again(
    database: Database, stream_id: int, state: str
) -> None:
    enqueue(database, stream_id, "a")
    taken = write(database, outbox.lease, 0, LEASE)
    assert taken
    write(database, outbox.settle, taken, state=state, now_ms=1, error=None)
    assert write(database, outbox.lease, 10**12, LEASE) is None


def test_senders_in_threads_take_each_message_once(database: Database, stream_id: int) -> None:
    with database.write() as connection:
        for n in range(40):
            outbox.enqueue(connection, stream_id, ["ops"], Message(f"m{n}", {}), now_ms=0)
    taken = list[str]()
    start_together = threading.Barrier(4)

    def send() -> None:
        start_together.wait()
        while (mine := write(database, outbox.lease, 0, LEASE)) is not None:
            taken.append(mine.dedup_key)

    in_threads(send, send, send, send)
    assert sorted(taken) == sorted(f"m{n}" for n in range(40))


def test_a_message_is_sent_only_if_its_transaction_commits(
    database: Database, stream_id: int
) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        outbox.enqueue(connection, stream_id, ["ops"], Message("a", {}), now_ms=0)
        raise ZeroDivisionError
    assert drain(database, 10) == []


def test_only_what_is_not_due_and_was_never_tried_is_scheduled(
    database: Database, stream_id: int
) -> None:
    enqueue(database, stream_id, "due", now_ms=0)
    with database.write() as connection:
        later = Message("later", {})
        outbox.enqueue(connection, stream_id, ["ops"], later, now_ms=0, after_ms=100)
    with database.read() as connection:
        assert outbox.scheduled(connection, stream_id, 50) == 1
        assert outbox.scheduled(connection, stream_id, 100) == 0, "it should have gone out"
    taken = write(database, outbox.lease, 50, LEASE)
    assert taken is not None
    write(database, outbox.settle, taken, state=WAITING, now_ms=50, due_ms=500)
    with database.read() as connection:
        assert outbox.scheduled(connection, stream_id, 60) == 1, "the other waits to be repeated"
