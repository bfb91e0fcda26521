"""Of all processes that see a trouble, one marks it and writes the message: in one transaction."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.service.streams_for_tests import write_stream
from tests.service.transactions import read, write
from tidegauge_alerts.messages.model import Message
from tidegauge_probes import load
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.store import registration, schema
from tidegauge_service.store.alerting.notice_state import NoticeState, Trouble, since
from tidegauge_service.store.engine import Database


@pytest.fixture
def stream_id(database: Database, tmp_path: Path) -> int:
    config = load_stream(write_stream(tmp_path))
    return write(database, registration.register, config, load(config.probes, tmp_path), 0).id


def written(database: Database) -> list[tuple[str, str]]:
    """Return receiver and key of all messages."""
    t = schema.notification
    with database.read() as connection:
        found = connection.execute(sa.select(t.c.receiver, t.c.dedup_key).order_by(t.c.id))
        return [(row.receiver, row.dedup_key) for row in found]


@pytest.mark.parametrize("trouble", Trouble)
def test_who_marks_it_first_writes_the_message(
    database: Database, stream_id: int, trouble: Trouble
) -> None:
    state = NoticeState(stream_id, trouble, ("ops", "dev"))
    began, ended = Message("began", {}), Message("ended", {})
    assert write(database, state.change, None, 5, began, now_ms=9)
    assert not write(database, state.change, None, 6, Message("late", {}), now_ms=9)
    assert read(database, since, stream_id, trouble) == read(database, state.since) == 5
    assert {t: read(database, since, stream_id, t) for t in Trouble if t is not trouble} == (
        dict.fromkeys(set(Trouble) - {trouble})
    )
    assert not write(database, state.change, 6, None, Message("other", {}), now_ms=9)
    assert write(database, state.change, 5, None, ended, now_ms=10)
    assert read(database, state.since) is None
    assert written(database) == [
        ("ops", "began"), ("dev", "began"), ("ops", "ended"), ("dev", "ended"),
    ]  # fmt: skip


def test_a_mark_whose_message_cannot_be_written_is_not_kept(
    database: Database, stream_id: int
) -> None:
    state = NoticeState(stream_id, Trouble.LATE, ("ops",))
    with pytest.raises(TypeError):
        write(database, state.change, None, 5, Message("began", {"no": object()}), now_ms=9)
    assert read(database, state.since) is None


def test_other_columns_change_with_it_or_not_at_all(database: Database, stream_id: int) -> None:
    state = NoticeState(stream_id, Trouble.BLIND, ())
    query = sa.select(schema.stream.c.blind).where(schema.stream.c.id == stream_id)
    assert write(database, state.change, None, 5, None, now_ms=9, values={"blind": "[]"})
    assert not write(database, state.change, None, 6, None, now_ms=9, values={"blind": "[1]"})
    with database.read() as connection:
        assert connection.execute(query).scalar_one() == "[]"
