"""A page, an export and a scrape are read in one transaction: they show one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from tests.service.api.site import NOW, Site
from tests.service.transactions import read, write
from tidegauge_service.store import candidates, streams
from tidegauge_service.store.candidates import Candidate, CandidateReason

EXPORTS = [f"/api/v1/candidates?stream=test&format={name}" for name in ("ndjson", "csv", "parquet")]
CHARTS = [
    "/charts/heatmap.svg?stream=test",
    "/charts/series.svg?stream=test&series=coverage&probe=short",
]
LISTS = [
    "/api/v1/streams",
    "/api/v1/streams/test",
    "/api/v1/streams/test/windows?segment=_all",
    "/api/v1/streams/test/precision",
    "/api/v1/streams/test/skew",
    "/api/v1/streams/test/deployments",
    "/api/v1/streams/test/deployments/diff?after=live",
    "/api/v1/streams/test/dead-letters",
    "/api/v1/alerts?stream=test",
    "/api/v1/incidents?stream=test",
    "/api/v1/candidates?stream=test&segment=_all",
]


@contextmanager
def transactions(site: Site) -> Iterator[list[int]]:
    """Give a list that has an entry for each transaction of the site's database."""
    begun = list[int]()

    def count(_connection: sa.Connection) -> None:
        begun.append(1)

    sa.event.listen(site.database.engine, "begin", count)
    yield begun
    sa.event.remove(site.database.engine, "begin", count)


def proposed(n: int, stream: str = "test") -> Candidate:
    """Return the *n*-th candidate of a stream."""
    return Candidate(
        id=f"c{n:05d}", stream=stream, window_start_ms=0, partition=0, offset=n, record_id=str(n),
        timestamp_ms=0, payload={"n": n}, votes={}, segments=("_all",), state="proposed",
        probe_set="p", baseline="b", reasons=(CandidateReason("uniform", "a", 0.5),),
    )  # fmt: skip


def propose(site: Site, numbers: range) -> None:
    stream = read(site.database, streams.find, "test")
    assert stream is not None
    write(site.database, candidates.propose, stream.id, [proposed(n) for n in numbers], NOW)


@pytest.mark.parametrize("path", ["/", "/?stream=test", "/metrics", *EXPORTS, *CHARTS, *LISTS])
def test_one_transaction_reads_all_of_it(any_site: Site, path: str) -> None:
    propose(any_site, range(3))
    with transactions(any_site) as begun:
        assert any_site.client.get(path).status_code == 200
    assert len(begun) == 1


def test_a_scrape_is_one_transaction_however_many_streams_there_are(any_site: Site) -> None:
    with transactions(any_site) as begun:
        text = any_site.client.get("/metrics").text
    assert 'tidegauge_stream_learning{stream="test"}' in text
    assert 'tidegauge_stream_learning{stream="other"}' in text
    assert len(begun) == 1


@pytest.mark.parametrize("path", EXPORTS)
def test_an_export_holds_no_candidate_that_came_after_it_began(
    any_site: Site, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It is read a page at a time; what is proposed between two pages is in none of them."""
    propose(any_site, range(0, 2_000, 2))
    before = any_site.client.get(path).content
    page, came = candidates.page, range(1, 2_400, 2)

    def slow(*args: object) -> list[Candidate]:
        found = page(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(candidates, "page", page)
        propose(any_site, came)
        return found

    monkeypatch.setattr(candidates, "page", slow)
    assert any_site.client.get(path).content == before
    assert any_site.client.get(path).content != before, "the next one has them"


def test_an_export_that_fails_midway_is_answered_as_an_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(site, range(1_500))
    page, calls = candidates.page, list[int]()

    def breaks(*args: object) -> list[Candidate]:
        calls.append(1)
        if len(calls) > 1:
            raise ZeroDivisionError
        return page(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(candidates, "page", breaks)
    answer = site.client.get(EXPORTS[0])
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
