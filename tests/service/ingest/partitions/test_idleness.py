"""Silence holds no other partition up for ever, and makes late nothing that catches up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service import oracle
from tests.service.group import Group
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import write
from tidegauge_service.clock import to_iso
from tidegauge_service.ingest.partitions.idleness import KEPT, Idleness
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.arrivals import Arrivals
from tidegauge_service.store.streams import CLOSED

MINUTE = 60_000
GRACE, SILENCE = MINUTE, HOUR
PAST = {"from": to_iso(START - 100 * HOUR), "until": to_iso(START - 50 * HOUR)}
LOG = {"kind": "log", "partitions": 2}
KAFKA = {"kind": "kafka", "bootstrap": "unused:9092", "topic": "unused"}


def arrivals(newest: int | None, heard: int | None, until: int | None = None) -> Arrivals:
    return Arrivals(newest, heard, until)


def test_nothing_moves_before_the_first_record() -> None:
    idle = Idleness(GRACE, SILENCE)
    for hours in range(1_000):
        assert idle.watermark(arrivals(None, None), START + hours * HOUR) is None


def test_an_idle_partition_follows_what_the_stream_had_seen_a_grace_ago() -> None:
    idle = Idleness(GRACE, SILENCE)
    for second in range(600):
        now = START + second * 1_000
        found = idle.watermark(arrivals(now - 200, now), now)
        if second < 60:
            assert found is None
        else:
            assert now - GRACE - 1_200 <= found <= now - GRACE  # type: ignore[operator]


def test_the_example_of_the_docstring() -> None:
    idle, last = Idleness(GRACE, SILENCE), START + 17 * HOUR + 30 * MINUTE
    found = {
        minute: idle.watermark(arrivals(last, last), last + minute * MINUTE) for minute in range(70)
    }
    assert found[0] is None
    assert {found[minute] for minute in range(1, 60)} == {last}
    assert found[61] == last + MINUTE


def test_while_the_range_of_the_baseline_lies_ahead_silence_never_ends() -> None:
    idle = Idleness(GRACE, SILENCE)
    for hours in range(500):
        found = idle.watermark(arrivals(START, START, START + HOUR), START + hours * HOUR)
        assert found == (START if hours else None)
    assert idle.watermark(arrivals(START + HOUR, START, START + HOUR), START + 501 * HOUR) == (
        START + 500 * HOUR
    )


def test_a_record_from_ahead_of_now_moves_nothing_past_now() -> None:
    idle = Idleness(GRACE, SILENCE)
    ahead = START + 5 * MINUTE
    idle.watermark(arrivals(ahead, START), START)
    assert idle.watermark(arrivals(ahead, START), START + 2 * MINUTE) == START + MINUTE


def test_without_any_grace_it_follows_at_once() -> None:
    idle = Idleness(0, 0)
    assert idle.watermark(arrivals(START - 5, START), START) == START


def test_a_silence_grace_below_the_idle_grace_counts_as_equal_to_it() -> None:
    idle = Idleness(GRACE, 0)
    assert idle.watermark(arrivals(START, START), START + GRACE - 1) is None
    assert idle.watermark(arrivals(START, START), START + GRACE) == START


def test_a_clock_that_jumps_back_forgets_what_was_seen_after() -> None:
    idle = Idleness(GRACE, SILENCE)
    idle.watermark(arrivals(START, START), START)
    assert idle.watermark(arrivals(START, START), START + GRACE) == START
    assert idle.watermark(arrivals(START + 9, START), START - HOUR) is None


STEPS = st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 200_000)), max_size=200)


@given(STEPS, st.integers(0, 120_000), st.integers(0, 7_200_000))
def test_it_never_passes_what_was_seen_but_after_silence_and_remembers_little(
    steps: list[tuple[int, int]], grace: int, silence: int
) -> None:
    idle, now, newest = Idleness(grace, silence), START, START - 50 * HOUR
    for passed, progress in steps:
        now += passed
        newest += progress
        found = idle.watermark(arrivals(newest, now - passed), now)
        assert found is None or found <= now - grace
        if passed < max(silence, grace):
            assert found is None or found <= newest
        assert len(idle._seen) <= 2 * KEPT + 2


# -- The worker ------------------------------------------------------------------------------------


class Live:
    """A stream that is read as it comes, by a clock that a test turns."""

    def __init__(self, folder: Path, database: Database, topic: list[list[bytes]]) -> None:
        self.now = START + 2_000 * HOUR
        self.topic = topic
        how = {"source": self.source, "baseline": self.baseline}
        self.group = Group(folder, database, topic, limits={"commit_records": 1_000}, **how)
        self.member = self.group.member(clock=lambda: self.now)

    source: dict[str, object] = LOG
    baseline: dict[str, str] = PAST

    def turn(self, minutes: int) -> None:
        """Let time pass, minute by minute."""
        for _ in range(minutes):
            self.now += MINUTE
            for _ in range(4):
                self.member.worker.step()
            write(self.group.database, store.close_windows, self.group.stream)

    def send(self, partition: int, times: Iterable[int]) -> None:
        inputs = self.topic[partition]
        for ms in times:
            inputs.append(oracle.message(len(inputs), 0, ms=ms))

    @property
    def late(self) -> int:
        return sum(p.late for p in self.group.partitions())

    @property
    def closed(self) -> int | None:
        return self.group.cursor(CLOSED)


def every(minutes: int, since: int, until: int) -> range:
    return range(since, until, minutes * MINUTE)


@pytest.mark.parametrize("source", [LOG, KAFKA])
def test_history_that_comes_after_the_stream_was_opened_is_counted(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object]
) -> None:
    """The stream was read to its end, empty, for hours; then a month of history comes in parts."""
    monkeypatch.setattr(Live, "source", source)
    monkeypatch.setattr(
        Live, "baseline", {"from": to_iso(START), "until": to_iso(START + 60 * HOUR)}
    )
    live = Live(tmp_path, database, [[], []])
    live.turn(5)
    for day in range(3):
        live.send(0, every(60, START + day * 20 * HOUR, START + (day + 1) * 20 * HOUR))
        live.send(1, every(45, START + day * 20 * HOUR, START + (day + 1) * 20 * HOUR))
        live.turn(90)  # longer than the silence grace
    assert live.late == 0
    assert live.closed == START + 59 * HOUR, "all are closed but the last"
    live.now = START + 3_000 * HOUR
    live.send(0, [live.now])
    live.turn(3)
    assert live.late == 0
    assert live.closed is not None
    assert live.closed > START + 2_900 * HOUR


def test_a_producer_that_catches_up_after_an_outage_loses_nothing(
    database: Database, tmp_path: Path
) -> None:
    live = Live(tmp_path, database, [[], []])
    live.send(0, [live.now])
    live.send(1, [live.now])
    live.turn(2)
    down = live.now
    live.turn(50)
    live.send(0, every(1, down, live.now))
    live.send(1, every(1, down, live.now))
    live.turn(2)
    assert (live.late, len(live.topic[0])) == (0, 51)


def test_an_outage_beyond_the_silence_grace_ends_with_late_records_and_closed_windows(
    database: Database, tmp_path: Path
) -> None:
    live = Live(tmp_path, database, [[], []])
    live.send(0, [live.now])
    live.turn(2)
    down = live.now
    live.turn(5 * 60)
    assert live.closed is not None
    assert live.closed > down, "a silent stream is evaluated in the end"
    assert live.closed <= live.now - HOUR
    closed, missed = live.closed, every(1, down, live.now)
    live.send(0, missed)
    live.turn(1)
    assert 0 < live.late < 300
    assert live.late == sum(ms // HOUR * HOUR < closed for ms in missed)


def test_an_idle_partition_holds_nobody_while_another_has_traffic(
    database: Database, tmp_path: Path
) -> None:
    live = Live(tmp_path, database, [[], []])
    for _ in range(4 * 60):
        live.send(0, [live.now])
        live.turn(1)
    assert live.closed is not None
    assert live.closed >= live.now - HOUR - 15 * MINUTE
    assert live.late == 0


def test_history_without_a_range_pauses_for_less_than_the_silence_grace(
    database: Database, tmp_path: Path
) -> None:
    """A named baseline says nothing of history; a pause of the one who sends it does no harm."""
    live = Live(tmp_path, database, [[], []])
    for day in range(3):
        live.send(0, every(60, START + day * 20 * HOUR, START + (day + 1) * 20 * HOUR))
        live.turn(55)
    assert live.late == 0


def test_what_another_worker_hears_ends_the_silence(database: Database, tmp_path: Path) -> None:
    """Partition 1 is another's, and has traffic: this one's partition follows it, not the clock."""
    live = Live(tmp_path, database, [[], []])
    live.send(0, [live.now])
    live.send(1, [live.now])
    live.member = live.group.member([0], clock=lambda: live.now)
    other = live.group.member([1], clock=lambda: live.now)
    for _ in range(90):
        live.send(1, [START])  # old events, but it does speak
        other.worker.step()
        live.turn(1)
    with database.read() as connection:
        [first, _] = streams.partitions(connection, live.group.stream.id)
    assert first.watermark_ms == START + 2_000 * HOUR
