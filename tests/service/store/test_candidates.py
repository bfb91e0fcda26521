from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.service.group import Group
from tests.service.transactions import read
from tidegauge_service.store import candidates as store
from tidegauge_service.store.candidates import Candidate, CandidateFilter, CandidateReason
from tidegauge_service.store.engine import Database

HOSTILE = [
    "country=DE",
    "country=de",
    'country="',
    'country="DE"',
    'x"country=DE',
    'x", "country=DE',
    "country=DE, ",
    "country=%",
    "country=_E",
    "country=D\\E",
    "country=\\",
    "country=/",
    "country='; DROP TABLE candidate; --",
    "country=Zürich",
    "country=日本",
    "country=\n",
    "country={}",
    "country=[",
    "country",
    ", ",
    "a[",
    "a ",
    "",
]


@pytest.fixture
def stream_id(database: Database, tmp_path: Path) -> int:
    return Group(tmp_path, database, [[]]).stream.id


def candidate(n: int, **changes: Any) -> Candidate:
    base = Candidate(
        id=f"c{n:04d}",
        stream="test",
        window_start_ms=n // 3,
        partition=0,
        offset=n,
        record_id=f"r{n}",
        timestamp_ms=n,
        payload={"text": "ö", "n": n},
        votes={"mentions_free": "SPAM"},
        segments=("country=DE",),
        state="proposed",
        probe_set="p",
        baseline="b",
        reasons=(CandidateReason("uniform", "a1", 0.5),),
    )
    return replace(base, **changes)


def propose(database: Database, stream_id: int, *found: Candidate, now_ms: int = 0) -> None:
    with database.write() as connection:
        store.propose(connection, stream_id, found, now_ms)


def ids(database: Database, **wanted: Any) -> list[str]:
    found = [c.id for c in read(database, store.page, CandidateFilter(**wanted), 100)]
    with database.read() as connection:
        assert store.count(connection, CandidateFilter(**wanted)) == len(found)
    return found


def test_a_candidate_comes_back_as_it_was_proposed(database: Database, stream_id: int) -> None:
    wanted = candidate(
        1,
        segments=("slice", "country=DE"),
        votes={},
        reasons=(CandidateReason("blind_spot", "a1", 0.25), CandidateReason("uniform", "a1", 1.0)),
    )
    propose(database, stream_id, wanted)
    assert read(database, store.page, CandidateFilter(), 10) == [wanted]


def test_proposed_again_a_candidate_keeps_its_row_and_gains_reasons(
    database: Database, stream_id: int
) -> None:
    first = candidate(1)
    propose(database, stream_id, first)
    conflict = CandidateReason("conflict", "a2", 0.1)
    changed = candidate(1, state="labeled", payload={"other": 1}, reasons=(conflict,))
    for _ in range(2):
        propose(database, stream_id, changed)
    (found,) = read(database, store.page, CandidateFilter(), 10)
    assert set(found.reasons) == {*first.reasons, conflict}
    assert replace(found, reasons=first.reasons) == first
    assert ids(database, alert_id="a1") == ids(database, alert_id="a2") == ["c0001"]


def test_reasons_come_in_an_order_that_does_not_change(database: Database, stream_id: int) -> None:
    for reason in ("zebra", "apple", "mango"):
        propose(database, stream_id, candidate(1, reasons=(CandidateReason(reason, "a", 1.0),)))
    (found,) = read(database, store.page, CandidateFilter(), 10)
    assert [r.reason for r in found.reasons] == ["apple", "mango", "zebra"]


def test_filters_restrict(database: Database, stream_id: int) -> None:
    propose(
        database,
        stream_id,
        candidate(0),
        candidate(3, reasons=(CandidateReason("blind_spot", "a2", 0.5),), votes={}),
        candidate(6, state="exported", segments=("country=FR", "long")),
        candidate(9, votes={"thanks": "HAM", "short": "HAM"}),
    )
    assert ids(database) == ["c0000", "c0003", "c0006", "c0009"]
    assert ids(database, stream="test") == ids(database)
    assert ids(database, stream="other") == []
    assert ids(database, reason="blind_spot") == ["c0003"]
    assert ids(database, alert_id="a1") == ["c0000", "c0006", "c0009"]
    assert ids(database, state="exported") == ["c0006"]
    assert ids(database, segment="long") == ["c0006"]
    assert ids(database, lf="short") == ["c0009"]
    assert ids(database, lf="HAM") == [], "a class is no LF"
    assert ids(database, since_ms=1) == ["c0003", "c0006", "c0009"]
    assert ids(database, until_ms=1) == ["c0000"]
    assert ids(database, since_ms=1, until_ms=3) == ["c0003", "c0006"]
    assert ids(database, since_ms=0, until_ms=0) == []
    assert ids(database, reason="uniform", segment="country=DE", lf="thanks") == ["c0009"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_match_themselves_and_nothing_else(
    database: Database, stream_id: int, name: str
) -> None:
    propose(
        database,
        stream_id,
        *(
            candidate(3 * n, segments=(f"{other}", "last"), votes={other: "x", "last": other})
            for n, other in enumerate(HOSTILE)
        ),
    )
    expected = [f"c{3 * n:04d}" for n, other in enumerate(HOSTILE) if other == name]
    assert ids(database, segment=name) == expected
    assert ids(database, lf=name) == expected
    assert ids(database, stream=name) == []
    assert ids(database, state=name, reason=name, alert_id=name) == []


def pages(database: Database, size: int) -> Iterator[list[Candidate]]:
    """Yield page after page, as callers of the API read them: each is a transaction of its own."""
    after = None
    while found := read(database, store.page, CandidateFilter(), size, after):
        yield found
        after = (found[-1].window_start_ms, found[-1].id)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_hold_everything_once_in_order(database: Database, stream_id: int, size: int) -> None:
    whole = [candidate(n) for n in range(20)]
    propose(database, stream_id, *reversed(whole))
    found = list(pages(database, size))
    assert [c for page in found for c in page] == whole
    assert all(len(page) == size for page in found[:-1])
    with database.read() as connection:
        assert list(store.every(connection, CandidateFilter(), size)) == whole


def test_pages_are_stable_while_candidates_arrive(database: Database, stream_id: int) -> None:
    propose(database, stream_id, *(candidate(n) for n in range(0, 20, 2)))
    found = pages(database, 4)
    seen = [c.id for c in next(found)]
    propose(database, stream_id, *(candidate(n) for n in range(1, 20, 2)))
    seen += [c.id for page in found for c in page]
    assert len(seen) == len(set(seen))
    assert {f"c{n:04d}" for n in range(0, 20, 2)} <= set(seen)
    assert seen == sorted(seen)


def test_a_page_ends_with_the_payload_that_reaches_its_bytes(
    database: Database, stream_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand payloads of a megabyte were read at once."""
    monkeypatch.setattr(store, "PAGE_BYTES", 2_500)
    large = [candidate(n, payload={"text": "x" * 1_000}) for n in range(7)]
    with database.write() as connection:
        store.propose(connection, stream_id, [*large, candidate(7, payload={"n": 7})], 0)
    sizes = [len(page) for page in pages(database, 100)]
    assert sizes == [3, 3, 2]
    monkeypatch.setattr(store, "PAGE_BYTES", 1)
    found = [c.id for page in pages(database, 100) for c in page]
    assert found == [f"c{n:04d}" for n in range(8)]
