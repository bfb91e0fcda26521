"""`POST …/events` and the dead letters, as the API answers them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.service.streams_for_tests import HOUR, START, write_stream
from tests.service.transactions import read, write
from tidegauge_probes import load
from tidegauge_service.api.app import create_app
from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.api.context import ApiContext
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import take_snapshot
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest import events
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.ingest.dead_letter import DeadLetter

NOW = START + HOUR
BYTES = 2**30
EVENTS = "/api/v1/streams/test/events"
LETTERS = "/api/v1/streams/test/dead-letters"
NDJSON = {"Content-Type": "application/x-ndjson"}


class Site:
    """A service's API over a database with one stream."""

    def __init__(self, folder: Path, database: Database, **changes: Any) -> None:
        source = {"kind": "log", **changes.pop("source", {})}
        config = load_stream(write_stream(folder, source=source, **changes))
        self.database = database
        self.stream = write(
            database, registration.register, config, load(config.probes, folder), NOW
        )
        if source["kind"] == "log":
            write(database, events.make_partitions, self.stream, 2)
        write(database, streams.seed_partitions, self.stream.id, {0: 0, 1: 0}, NOW)
        figures = Collector(lambda: read(database, take_snapshot, NOW)).registry
        context = ApiContext(database, lambda: NOW, TokenAuth("secret"), figures, lambda: None)
        self.client = TestClient(create_app(context), headers={"Authorization": "Bearer secret"})

    def post(self, content: bytes, **headers: str) -> Any:
        given = {"Content-Type": "application/json", **headers}
        return self.client.post(EVENTS, content=content, headers=given)

    def kept(self) -> list[bytes]:
        return sorted(
            event.payload
            for p in (0, 1)
            for event in read(
                self.database, events.read, self.stream, p, 0, most=100, most_bytes=BYTES
            )
        )


@pytest.fixture
def site(sqlite_database: Database, tmp_path: Path) -> Site:
    return Site(tmp_path, sqlite_database)


def test_arrays_and_lines_are_kept_as_they_were_written(site: Site) -> None:
    answer = site.post(b'[{"id": "a",  "x": 1.50}, {"id": 2}]')
    assert (answer.status_code, answer.json()) == (202, {"appended": 2, "duplicates": 0})
    answer = site.client.post(EVENTS, content=b'{"id":"b"}\n\r\n{"id":"a"}\r\n', headers=NDJSON)
    assert (answer.status_code, answer.json()) == (202, {"appended": 1, "duplicates": 1})
    assert site.post(b' {"id": "c"} ').json() == {"appended": 1, "duplicates": 0}
    assert site.post(b"[]").json() == {"appended": 0, "duplicates": 0}
    assert site.kept() == [b'{"id": "a",  "x": 1.50}', b'{"id": "c"}', b'{"id": 2}', b'{"id":"b"}']


def test_a_request_with_a_key_is_answered_the_same_again(site: Site) -> None:
    body = b'[{"no": "id"}, {"no": "id"}]'
    first = site.post(body, **{"Idempotency-Key": "k"})
    again = site.post(body, **{"Idempotency-Key": "k"})
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(site.kept()) == 2
    other = site.post(b"[]", **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_without_deduplication_or_ids_every_event_counts(
    sqlite_database: Database, tmp_path: Path
) -> None:
    site = Site(tmp_path, sqlite_database, source={"deduplicate": False})
    assert site.post(b'[{"id": "a"}, {"id": "a"}]').json() == {"appended": 2, "duplicates": 0}


@pytest.mark.parametrize(
    ("body", "headers", "expected", "says"),
    [
        (b"[1]", {}, (422, "invalid_events"), "event 0 is not a JSON object"),
        (b'[{"id": 1}, {]', {}, (422, "invalid_events"), "not a JSON array"),
        (b'[{"id": 1}, {"x": "\xff"}]', {}, (422, "invalid_events"), "event 1 is not JSON"),
        (b'{"id": 1}\n{"id"', NDJSON, (422, "invalid_events"), "event 1 is not JSON"),
        (
            b'{"id": 1}\n{"id": 2}\n',
            {},
            (422, "invalid_events"),
            "Content-Type application/x-ndjson",
        ),
        (b'{"id":\n1} {}', {}, (422, "invalid_events"), "event 0 is not JSON"),
        (b"", {}, (422, "invalid_events"), "not a JSON array"),
        (b"[" * 5_000, {}, (422, "invalid_events"), "array"),
        (b'{"x":' * 5_000, NDJSON, (422, "invalid_events"), "event 0"),
        (b"[%b]" % b",".join([b"{}"] * 10_001), {}, (422, "invalid_events"), "at most 10000"),
        (b'[{"x": "%b"}]' % (b"y" * 2_000), {}, (422, "invalid_events"), "max_record_bytes"),
        (b"[]" + b" " * 60_000, {}, (413, "body_too_large"), "fewer events"),
        (b"a=b", {"Content-Type": "text/csv"}, (415, "unsupported_media_type"), "x-ndjson"),
        (b"[]", {"Idempotency-Key": "x" * 256}, (422, "invalid_parameter"), "idempotency-key"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_appended(
    sqlite_database: Database,
    tmp_path: Path,
    body: bytes,
    headers: dict[str, str],
    *,
    expected: tuple[int, str],
    says: str,
) -> None:
    site = Site(
        tmp_path,
        sqlite_database,
        source={"max_request_bytes": 50_000},
        limits={"max_record_bytes": 1_000},
    )
    answer = site.post(body, **headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == expected, answer.text
    assert says in answer.json()["detail"]
    assert site.kept() == []


def test_a_body_without_a_length_is_read_no_further_than_the_limit(
    sqlite_database: Database, tmp_path: Path
) -> None:
    site = Site(tmp_path, sqlite_database, source={"max_request_bytes": 1_000})
    sent = list[int]()

    def chunks() -> Any:
        for n in range(100):
            sent.append(n)
            yield b" " * 100

    answer = site.client.post(
        EVENTS, content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_full_backlog_says_when_to_come_back(sqlite_database: Database, tmp_path: Path) -> None:
    site = Site(tmp_path, sqlite_database, source={"max_backlog": 2})
    assert site.post(b'[{"id": 1}, {"id": 2}]').status_code == 202
    answer = site.post(b'[{"id": 3}]', **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (429, "backlog_full")
    assert int(answer.headers["retry-after"]) > 0
    assert site.post(b'[{"id": 1}]').json() == {"appended": 0, "duplicates": 1}


def test_other_streams_say_where_to_send(sqlite_database: Database, tmp_path: Path) -> None:
    site = Site(tmp_path, sqlite_database, source={"kind": "demo"})
    answer = site.post(b"[]")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_a_log")
    assert "kind: log" in answer.json()["detail"]
    assert site.client.post("/api/v1/streams/nope/events", content=b"[]").status_code == 404


def test_events_need_the_token(site: Site) -> None:
    answer = site.post(b"[]", Authorization="Bearer wrong")
    assert answer.status_code == 401


def bury(site: Site, *letters: DeadLetter, now_ms: int = NOW) -> None:
    since = min(letter.offset for letter in letters)
    until = max(letter.offset for letter in letters) + 1
    batch = PartitionBatch(letters[0].partition, since, until, dead_letters=letters)
    write(site.database, store.commit, site.stream, [batch], owner="t", now_ms=now_ms)


def test_dead_letters_come_in_pages_newest_first(site: Site) -> None:
    for n in range(5):
        letter = DeadLetter(0, n, "not_json", "why", f"x{n}".encode(), 2)
        bury(site, letter, now_ms=NOW + n // 2)
    bury(site, DeadLetter(1, 0, "empty", "", b"", 0), now_ms=NOW)
    seen, cursor = list[tuple[int, int]](), ""
    while True:
        page = site.client.get(f"{LETTERS}?limit=2{cursor}").json()
        seen += [(item["partition"], item["offset"]) for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [(0, 4), (0, 3), (0, 2), (1, 0), (0, 1), (0, 0)]
    assert page["counts"] == {
        "empty": {"received": 1, "kept": 1, "replayed": 0},
        "not_json": {"received": 5, "kept": 5, "replayed": 0},
    }
    only = site.client.get(f"{LETTERS}?reason=empty").json()["items"]
    assert [(item["partition"], item["offset"]) for item in only] == [(1, 0)]


def test_payloads_are_texts_where_they_can_be_and_cut_in_lists(site: Site) -> None:
    text = "ä" * 3_000
    bury(
        site,
        DeadLetter(0, 0, "not_utf8", "", b"\xff\xfe", 2),
        DeadLetter(0, 1, "not_json", "", text.encode(), len(text.encode())),
        DeadLetter(0, 2, "too_large", "", b"kept", 9_999),
    )
    cut, long, binary = (item["payload"] for item in site.client.get(LETTERS).json()["items"])
    assert binary == {"encoding": "base64", "data": "//4=", "complete": True}
    assert long == {"encoding": "utf-8", "data": text[:2_048], "complete": False}
    assert cut == {"encoding": "utf-8", "data": "kept", "complete": False}
    whole = site.client.get(f"{LETTERS}/0/1").json()
    assert whole["payload"] == {"encoding": "utf-8", "data": text, "complete": True}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/0/9", 404, "unknown_dead_letter"),
        (f"/0/{2**63}", 422, "invalid_parameter"),
        ("?cursor=WzEsInh4Il0", 422, "invalid_cursor"),
        ("?until=yesterday", 422, "invalid_parameter"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(
    site: Site, path: str, status: int, code: str
) -> None:
    answer = site.client.get(LETTERS + path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_ids_of_every_kind_are_told_apart_as_records_are(site: Site) -> None:
    values: list[Any] = ["1", 1, True, None, "", 1.5, {"a": 1}]
    body = json.dumps([{"id": value} for value in values]).encode()
    assert site.post(body).json() == {"appended": 6, "duplicates": 1}
