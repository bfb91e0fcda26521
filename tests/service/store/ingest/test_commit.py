from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service import oracle
from tests.service.streams_for_tests import write_stream
from tests.service.transactions import read, write
from tidegauge_probes import load
from tidegauge_probes.counts.panes import PaneCounts, fold
from tidegauge_probes.model import VoteMatrix
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import Fenced
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.ingest.counted import Sample
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.streams import CLOSED, StreamRow

DEPLOYMENT = "a deployment"


@pytest.fixture
def stream(database: Database, tmp_path: Path) -> StreamRow:
    """Give a stream with windows of 10 ms, lateness 2 ms and two partitions."""
    path = write_stream(tmp_path, window="10ms", lateness="2ms")
    config = load_stream(path)
    row = write(database, registration.register, config, load(config.probes, tmp_path), 0)
    write(database, streams.seed_partitions, row.id, {0: 0, 1: 0}, 0)
    return row


def pane(records: int) -> PaneCounts:
    votes = np.zeros((records, 3), dtype=np.int8)
    return fold(VoteMatrix(votes, np.empty((records, 0), np.bool_), np.zeros(3)), 2, {})


def batch(partition: int, since: int, until: int, **more: Any) -> PartitionBatch:
    """Make a batch; its panes, by window, are all of one deployment."""
    more["panes"] = {(start, DEPLOYMENT): pane for start, pane in more.get("panes", {}).items()}
    return PartitionBatch(partition, since, until, **more)


def commit(database: Database, stream: StreamRow, *batches: PartitionBatch) -> int | None:
    return write(database, store.commit, stream, batches, owner="test", now_ms=1)


def positions(database: Database, stream: StreamRow) -> list[int]:
    with database.read() as connection:
        return [p.next_offset for p in streams.partitions(connection, stream.id)]


def test_a_batch_from_another_place_is_fenced_and_writes_nothing(
    database: Database, stream: StreamRow
) -> None:
    letter = DeadLetter(1, 3, "not_json", "why", b"x", 1)
    good = batch(0, 0, 5, panes={0: pane(5)}, added={0: 5})
    stale = batch(1, 3, 9, panes={0: pane(6)}, added={0: 6}, dead_letters=[letter])
    for order in ((good, stale), (stale, good)):
        with pytest.raises(Fenced, match="partition 1"):
            commit(database, stream, *order)
    assert positions(database, stream) == [0, 0]
    assert oracle.panes(database, stream) == {}
    assert oracle.dead(database, stream) == []


def test_the_same_batch_twice_is_counted_once(database: Database, stream: StreamRow) -> None:
    once = batch(0, 0, 5, panes={0: pane(5)}, added={0: 5})
    commit(database, stream, once)
    with pytest.raises(Fenced):
        commit(database, stream, once)
    assert {k: p.records for k, p in oracle.panes(database, stream).items()} == {(0, 0): 5}


def test_a_partition_that_does_not_exist_is_fenced(database: Database, stream: StreamRow) -> None:
    with pytest.raises(Fenced, match="partition 7"):
        commit(database, stream, batch(7, 0, 5))


def test_partitions_of_another_stream_are_untouched(
    database: Database, stream: StreamRow, tmp_path: Path
) -> None:
    config = load_stream(write_stream(tmp_path, name="other"))
    other = write(database, registration.register, config, load(config.probes, tmp_path), 0)
    write(database, streams.seed_partitions, other.id, {0: 0}, 0)
    commit(database, stream, batch(0, 0, 5, panes={0: pane(5)}, added={0: 5}))
    assert positions(database, other) == [0]
    assert oracle.panes(database, other) == {}


# (watermark, latest event, drained) of each partition; what was closed before; what is then.
# Windows of 10 ms, lateness 2 ms.
CLOSES: dict[str, tuple[list[tuple[int | None, int | None, bool]], int | None]] = {
    "the example of the docstring": ([(25, 25, False), (31, 31, False)], 20),
    "the first drained": ([(25, 25, True), (31, 31, False)], 20),
    "the first drained lets go": ([(5, 5, True), (31, 31, False)], 20),
    "both drained": ([(25, 25, True), (31, 31, True)], 40),
    "one event, drained": ([(0, 0, True), (None, None, True)], 10),
    "no watermark holds": ([(25, 25, False), (None, None, False)], None),
    "no event at all, drained": ([(None, None, True), (None, None, True)], None),
    "drained empty does not hold": ([(25, 25, False), (None, None, True)], 20),
    "one short of the lateness": ([(31, 31, False), (31, 31, False)], 20),
    "the lateness is over": ([(32, 32, False), (32, 32, False)], 30),
    "a watermark beyond the events": ([(52, 1, False), (52, None, False)], 50),
}


@pytest.mark.parametrize("name", CLOSES)
def test_windows_close_as_far_as_the_partitions_allow(
    database: Database, stream: StreamRow, name: str
) -> None:
    rows, closed = CLOSES[name]
    commit(
        database,
        stream,
        *(
            batch(p, 0, 1, watermark_ms=watermark, latest_event_ms=latest, drained=drained)
            for p, (watermark, latest, drained) in enumerate(rows)
        ),
    )
    assert write(database, store.close_windows, stream) == closed
    assert write(database, store.close_windows, stream) == closed
    with database.read() as connection:
        assert streams.cursor(connection, stream.id, CLOSED) == closed


def test_what_is_closed_stays_closed(database: Database, stream: StreamRow) -> None:
    far = [batch(p, 0, 1, watermark_ms=95, latest_event_ms=95, drained=True) for p in (0, 1)]
    commit(database, stream, *far)
    assert write(database, store.close_windows, stream) == 100
    again = batch(0, 1, 2, watermark_ms=96, latest_event_ms=96)
    assert commit(database, stream, again) == 100
    assert write(database, store.close_windows, stream) == 100


def test_a_stream_without_partitions_closes_nothing(database: Database, tmp_path: Path) -> None:
    config = load_stream(write_stream(tmp_path, name="bare"))
    bare = write(database, registration.register, config, load(config.probes, tmp_path), 0)
    assert write(database, store.close_windows, bare) is None


def test_a_closed_window_keeps_its_pane_and_counts_what_comes_as_late(
    database: Database, stream: StreamRow
) -> None:
    first = {"panes": {0: pane(4), 10: pane(1)}, "added": {0: 4, 10: 1}}
    mark = {"watermark_ms": 12, "latest_event_ms": 12}
    commit(database, stream, batch(0, 0, 5, **first, **mark), batch(1, 0, 0, **mark))
    assert write(database, store.close_windows, stream) == 10
    later = {"panes": {0: pane(7), 10: pane(3)}, "added": {0: 3, 10: 2}}
    assert commit(database, stream, batch(0, 5, 10, **later, **mark)) == 10
    assert commit(database, stream, batch(0, 10, 11, panes={0: pane(8)}, added={0: 1})) == 10
    assert {k: p.records for k, p in oracle.panes(database, stream).items()} == {
        (0, 0): 4,
        (0, 10): 3,
    }
    assert oracle.late(database, stream) == {(0, 0): 4}
    with database.read() as connection:
        row = streams.partitions(connection, stream.id)[0]
    assert (row.records, row.late) == (11, 4)


def test_the_state_of_a_partition_is_what_was_committed_and_is_still_open(
    database: Database, stream: StreamRow
) -> None:
    sample = Sample(10, 4, 99, ("all", "lf:x"), "id", 12, "{}", b"\0\0\0", ("c=DE",))
    gone = Sample(0, 3, 98, ("all",), "id", 2, "{}", b"\0\0\0", ())
    counted = {"panes": {0: pane(4), 10: pane(1)}, "added": {0: 4, 10: 1}}
    mark = {"watermark_ms": 12, "latest_event_ms": 12}
    commit(
        database,
        stream,
        batch(0, 0, 5, **counted, **mark, samples=[sample, gone]),
        batch(1, 0, 0, **mark),
    )
    before = read(database, store.load_partition, stream, 0)
    assert before is not None
    assert {start for start, _ in before.panes} == set(before.sampled) == {0, 10}
    write(database, store.close_windows, stream)
    after = read(database, store.load_partition, stream, 0)
    assert after is not None
    assert (after.next_offset, after.drained) == (5, False)
    assert after.panes == {(10, DEPLOYMENT): pane(1)}
    assert after.sampled == {10: [(99, ("all", "lf:x"))]}
    assert read(database, store.load_partition, stream, 7) is None


def test_a_dead_letter_that_is_there_already_stays_as_it_is(
    database: Database, stream: StreamRow
) -> None:
    commit(database, stream, batch(0, 0, 1, dead_letters=[DeadLetter(0, 0, "a", "a", b"a", 1)]))
    commit(database, stream, batch(0, 1, 2, dead_letters=[DeadLetter(0, 0, "b", "b", b"b", 1)]))
    assert oracle.dead(database, stream) == [(0, 0)]
