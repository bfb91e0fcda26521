"""Incidents over the API: what changed, what moved along, and what was told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alerts.builders import BLIND_SPOT, COVERAGE, NOON_MS, Run, quiet, run, shifted
from tests.service.api.site import Site
from tests.service.transactions import read, write
from tidegauge_probes.findings import SeriesKey, SeriesKind
from tidegauge_service.clock import to_iso
from tidegauge_service.store import streams
from tidegauge_service.store.alerting import alerts

LATER = SeriesKey(SeriesKind.COVERAGE, probe="later")
CALM = [quiet(), quiet(key=BLIND_SPOT), quiet(key=LATER)]


@pytest.fixture
def history(site: Site) -> Run:
    """Two series shift at noon, one four hours later; those of noon are back at the end."""
    both = [
        shifted(rank=-90),
        shifted(0.3, key=BLIND_SPOT, rank=20.0, scale=2, share=0.2, due=0.09),
    ]
    late = [*CALM[:2], shifted(0.5, key=LATER, rank=5.0)]
    found = run([both, both, both, both, late, late, late, late, late])
    stream = read(site.database, streams.find, "test")
    assert stream is not None
    write(site.database, alerts.save, stream.id, list(found.alerts.values()), found.transitions)
    return found


def listed(site: Site, query: str = "") -> list[dict[str, Any]]:
    response = site.client.get(f"/api/v1/incidents?stream=test{query}")
    assert response.status_code == 200, response.text
    return list(response.json()["items"])


@pytest.mark.usefixtures("history")
def test_an_incident_says_what_changed_and_what_moved_along(site: Site) -> None:
    newest, first = listed(site)
    assert first["opened_window"] == to_iso(NOON_MS)
    assert first["state"] == "resolved"
    [root], [child] = first["roots"], first["children"]
    assert (root["series"], root["probe"]) == ("coverage", COVERAGE.probe)
    assert (root["from"], root["to"]) == (0.08, 0.004)
    assert (child["series"], child["from"], child["to"]) == ("blind_spot", 0.09, 0.2)
    assert first["headline"].endswith(", with 1 more series")
    assert first["messages"] == 2, "it began, and it ended"
    assert (newest["state"], newest["children"], newest["messages"]) == ("firing", [], 1)
    assert newest["resolved_window"] is None
    assert site.client.get(newest["links"]["self"]).json() == newest


@pytest.mark.usefixtures("history")
def test_they_are_listed_by_state_time_and_page(site: Site) -> None:
    newest, first = (one["id"] for one in listed(site))
    assert [one["id"] for one in listed(site, "&state=open")] == [newest]
    assert [one["id"] for one in listed(site, "&state=resolved")] == [first]
    assert [one["id"] for one in listed(site, f"&since={to_iso(NOON_MS + 1)}")] == [newest]
    assert [one["id"] for one in listed(site, f"&until={to_iso(NOON_MS + 1)}")] == [first]
    page = site.client.get("/api/v1/incidents?limit=1").json()
    assert [one["id"] for one in page["items"]] == [newest]
    rest = site.client.get(f"/api/v1/incidents?limit=1&cursor={page['next']}").json()
    assert [one["id"] for one in rest["items"]] == [first]


def test_an_unknown_incident_is_a_problem(site: Site) -> None:
    response = site.client.get("/api/v1/incidents/nope")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_incident")
