"""A stream that cannot see its traffic says so everywhere, and says when it sees again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from tests.service import transactions
from tests.service.metrics.scrape import shown
from tests.service.streams_for_tests import HOUR, START, Reading, reading, record, write_stream
from tidegauge_probes.findings import BlindCause
from tidegauge_service.cli.doctor import stream_state
from tidegauge_service.config.settings import Settings
from tidegauge_service.errors import ServiceError
from tidegauge_service.jobs.sight import SightCheck
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.server import create_service_app
from tidegauge_service.store import schema
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import quarantine
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.windows import queries, sight
from tidegauge_service.web.pages import streams as page
from tidegauge_service.web.pages.streams import Light

RULES = {"receivers": ["ops"]}
WRONG = {"id": "id", "timestamp": "timestamp", "text": "bdy"}
Counted = Callable[..., Reading]
GOOD = [record(n, "a free lunch, thanks", ms=START + n) for n in range(60)]


def check(read: Reading, now: int = 5) -> SightCheck:
    url = "http://tide"
    return SightCheck(StreamScope(read.config, read.stream, read.database, lambda: now, url=url))


@pytest.fixture
def counted(database_url: str, tmp_path: Path) -> Iterator[Counted]:
    """Give a function that reads records to their end; its databases are closed."""
    opened = list[Database]()

    def read_to_end(records: Any = GOOD, *, hung: str = "", **changes: Any) -> Reading:
        read = reading(tmp_path, records, url=database_url, alerts=RULES, **changes)
        opened.append(read.database)
        if hung:
            with read.database.write() as connection:
                quarantine.strike(connection, read.stream, 0, hung, "it hung", now_ms=1)
        read.to_end()
        return read

    yield read_to_end
    for database in opened:
        database.close()


def told(database: Database) -> list[dict[str, Any]]:
    t = schema.notification
    with database.read() as connection:
        texts = connection.execute(sa.select(t.c.message).order_by(t.c.id)).scalars()
        return [json.loads(text) for text in texts]


def causes(read: Reading) -> list[tuple[BlindCause, str]] | None:
    found = transactions.read(read.database, queries.summary, read.stream).blind
    return None if found is None else [each.key for each in found]


def test_a_wrong_path_is_seen_before_any_window_has_closed(counted: Counted) -> None:
    read = counted(record=WRONG)
    assert causes(read) is None
    with capture_logs() as logs:
        check(read).tick()
        check(read).tick()
    names = ("mentions_free", "thanks", "short")
    assert causes(read) == [(BlindCause.LF_FAILS, name) for name in names]
    [said] = told(read.database)
    assert (said["event"], said["status"]) == ("stream_blind", "firing")
    assert said["headline"] == (
        "The stream is blind, so drift goes undetected: 3 LFs ('mentions_free', 'thanks', 'short') "
        "fail on 100 % of the records: `record.text` finds nothing at 'bdy'"
    )
    assert said["links"] == {"page": "http://tide/"}
    assert [line["event"] for line in logs] == ["stream_blind"] * 2, "once a process"

    summary = transactions.read(read.database, queries.summary, read.stream)
    assert page.state(summary).light is Light.ALARM
    assert "nothing at 'bdy'" in page.next_step(summary)
    blind = shown(read.database, "stream_blind")
    each = {("nothing_counted",): 0, ("lf_fails",): 3, ("no_segments",): 0, ("blind_spot",): 0}
    assert blind == each
    assert transactions.read(read.database, sight.blind_streams) == {"test": ["lf_fails"]}


def test_a_stream_that_sees_says_so_and_nobody_is_told(counted: Counted) -> None:
    read = counted()
    with capture_logs() as logs:
        check(read).tick()
    assert causes(read) == []
    assert told(read.database) == []
    assert logs == []
    blind = shown(read.database, "stream_blind")
    each = {("nothing_counted",): 0, ("lf_fails",): 0, ("no_segments",): 0, ("blind_spot",): 0}
    assert blind == each
    assert transactions.read(read.database, sight.blind_streams) == {}


def test_the_path_is_corrected_and_the_stream_sees_again(counted: Counted) -> None:
    read = counted(record=WRONG)
    watching = check(read)
    watching.tick()
    later = [record(n, "free", ms=START + HOUR + n) for n in range(250)]
    mended = counted([*GOOD, *later])
    with capture_logs() as logs:
        watching.tick()
        check(mended).tick()
    assert causes(read) == []
    firing, resolved = told(read.database)
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert firing["incident"] == resolved["incident"]
    assert [line["event"] for line in logs] == ["stream_sees_again"]


def test_one_of_two_processes_tells(counted: Counted) -> None:
    read = counted(record=WRONG)
    with read.database.read() as connection:
        before = sight.load(connection, read.stream.id)
        found = check(read)._found(connection, read.stream, before)
    assert found is not None
    check(read, now=7)._write(read.stream, found, before, 7)
    check(read, now=8)._write(read.stream, found, before, 8)
    assert len(told(read.database)) == 1


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ({"timestamp": "nowhere"}, "missing_timestamp"),
        ({"id": "nowhere"}, "missing_id"),
        ({"timestamp": "id"}, "bad_timestamp"),
    ],
)
def test_inputs_that_are_no_records_are_no_quiet_stream(
    counted: Counted,
    mapping: Mapping[str, str],
    fault: str,
) -> None:
    limits = {"dead_letter_share": 1.0}
    wrong = {"id": "id", "timestamp": "timestamp", "text": "text"} | dict(mapping)
    read = counted(record=wrong, limits=limits)
    check(read).tick()
    assert causes(read) == [(BlindCause.NOTHING_COUNTED, "")]
    [said] = told(read.database)
    assert f"most are '{fault}'" in said["headline"]


def test_a_large_blind_spot_is_shown_and_nobody_is_told(counted: Counted) -> None:
    quiet = [record(n, "nothing that an LF knows", ms=START + n) for n in range(60)]
    read = counted(quiet)
    check(read).tick()
    assert causes(read) == [(BlindCause.BLIND_SPOT, "")]
    assert told(read.database) == []
    summary = transactions.read(read.database, queries.summary, read.stream)
    assert page.state(summary).light is Light.WATCH
    assert "No LF votes on 100 % of the records" in page.next_step(summary)


def test_a_misspelled_segment_is_shown_and_nobody_is_told(
    counted: Counted, database_url: str, tmp_path: Path
) -> None:
    records = [record(n, "a free lunch", ms=START + n, channel="web") for n in range(60)]
    read = counted(records, segment_by=["chanel", "channel"])
    with capture_logs() as logs:
        check(read).tick()
    assert causes(read) == [(BlindCause.NO_SEGMENTS, "chanel")]
    assert told(read.database) == []
    said = "None of the latest records has a value at 'chanel' (`segment_by`)"
    assert [line["event"] for line in logs] == ["stream_blind"]
    assert said in logs[0]["why"][0]

    summary = transactions.read(read.database, queries.summary, read.stream)
    assert page.state(summary) == page.State(Light.WATCH, "empty segments")
    assert said in page.next_step(summary)
    assert transactions.read(read.database, sight.blind_streams) == {"test": ["no_segments"]}
    settings = Settings(database=SecretStr(database_url))
    with pytest.raises(ServiceError, match="at 'chanel'"):
        stream_state.sight(tmp_path / "stream.yaml", settings)


def test_of_an_lf_in_quarantine_receivers_know_already(counted: Counted) -> None:
    read = counted(hung="mentions_free")
    check(read).tick()
    assert causes(read) == [(BlindCause.LF_FAILS, "mentions_free")]
    assert told(read.database) == []


def test_old_windows_do_not_count_once_the_new_ones_are_large(counted: Counted) -> None:
    old = [{"id": f"o{n}", "timestamp": START / 1000, "n": n} for n in range(500)]
    new = [record(n, "free", ms=START + HOUR + n) for n in range(200)]
    read = counted([*old, *new])
    check(read).tick()
    assert causes(read) == []


def test_a_stream_that_is_gone_is_not_looked_at(counted: Counted) -> None:
    read = counted()
    gone = replace(read.stream, name="gone")
    SightCheck(StreamScope(read.config, gone, read.database, lambda: 0)).tick()
    assert causes(read) is None


# -- where it is shown ------------------------------------------------------------------------


def test_everything_that_people_look_at_says_the_same(
    counted: Counted, database_url: str, tmp_path: Path
) -> None:
    read = counted(record=WRONG)
    client = TestClient(create_service_app(read.database, Health(), "t", lambda: START))
    client.headers["authorization"] = "Bearer t"
    settings = Settings(database=SecretStr(database_url))
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/api/v1/streams/test").json()["blind"] is None
    assert (
        stream_state.sight(tmp_path / "stream.yaml", settings) == "too few records counted to tell"
    )

    check(read).tick()
    why = "fails on 100 % of the records: `record.text` finds nothing at 'bdy'"
    assert client.get("/readyz").json() == {"status": "ready", "blind": {"test": ["lf_fails"]}}
    blind = client.get("/api/v1/streams/test").json()["blind"]
    first = {"cause": "lf_fails", "probe": "mentions_free", "share": 1.0}
    assert blind[0] == {**first, "text": f"LF 'mentions_free' {why}"}
    metrics = client.get("/metrics").text
    assert 'tidegauge_stream_blind{reason="lf_fails",stream="test"} 3.0' in metrics
    assert 'tidegauge_stream_blind{reason="blind_spot",stream="test"} 0.0' in metrics
    assert "nothing at &#39;bdy&#39;" in client.get("/").text
    with pytest.raises(ServiceError, match="nothing at 'bdy'"):
        stream_state.sight(tmp_path / "stream.yaml", settings)


def test_doctor_takes_a_large_blind_spot_for_no_fault(
    counted: Counted, database_url: str, tmp_path: Path
) -> None:
    quiet = [record(n, "nothing that an LF knows", ms=START + n) for n in range(60)]
    read = counted(quiet)
    check(read).tick()
    settings = Settings(database=SecretStr(database_url))
    said = stream_state.sight(tmp_path / "stream.yaml", settings)
    assert said.startswith("No LF votes on 100 % of the records")


def test_doctor_before_the_first_run(tmp_path: Path) -> None:
    path = write_stream(tmp_path)
    settings = Settings(database=SecretStr(f"sqlite:///{tmp_path}/new.db"))
    assert stream_state.sight(path, settings) == "nothing counted yet"
