"""What the page, the API and Prometheus are told of training data unlike the traffic."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.web.site_for_tests import BASELINE, NOW, Site, finding
from tidegauge_probes.findings import SeriesKey, SeriesKind, Skew
from tidegauge_service.clock import to_iso
from tidegauge_service.store import deployments
from tidegauge_service.store.streams import Role
from tidegauge_service.store.windows import skew

KEY = SeriesKey(SeriesKind.COVERAGE, "party=D", "check_out")
FOUND = (Skew(KEY, trained=0.05, live=0.012, effect=0.23, p_value=1e-6),)


def record(site: Site, found: tuple[Skew, ...]) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    ids = {"training": "of-records", "baseline": BASELINE}
    with site.database.write() as connection:
        deployment = deployments.current(deployments.of_stream(connection, row.id), Role.LIVE)
        assert deployment is not None
        deployments.attach(connection, row, deployment, BASELINE)
        skew.save(connection, row, **ids, found=found, now_ms=NOW)


def test_what_differs_is_told_everywhere(site: Site, client: TestClient) -> None:
    record(site, FOUND)
    page = site.get()
    assert "1 series in which the training data (baseline of-records)" in page.text
    [line] = [row for row in page.texts("tr") if row.startswith("Coverage of LF 'check_out'")]
    assert "party=D" in line
    assert "5 %1.2 %" in line
    told = client.get("/api/v1/streams/spam/skew").json()
    assert (told["training"], told["baseline"], told["tested"]) == (
        "of-records",
        BASELINE,
        to_iso(NOW),
    )
    assert told["items"] == [
        {
            "series": "coverage",
            "probe": "check_out",
            "other": "",
            "label": "",
            "segment": "party=D",
            "trained": 0.05,
            "live": 0.012,
            "effect": 0.23,
            "p_value": 1e-6,
            "text": "Coverage of LF 'check_out' in segment party=D "
            "5 % of the training data, 1.2 % live",
        }
    ]
    assert 'tidegauge_stream_skewed_series{stream="spam"} 1.0' in client.get("/metrics").text


def test_nothing_found_is_not_nothing_tested(site: Site, client: TestClient) -> None:
    record(site, ())
    assert "The training data match the live traffic" in site.get().text
    assert client.get("/api/v1/streams/spam/skew").json()["items"] == []
    assert 'tidegauge_stream_skewed_series{stream="spam"} 0.0' in client.get("/metrics").text


def test_before_anything_is_tested_nothing_is_said(site: Site, client: TestClient) -> None:
    site.window(site.stream(), 0, finding(0))
    assert "Training data and live traffic" not in site.get().text
    assert client.get("/api/v1/streams/spam/skew").json()["tested"] is None
    assert "tidegauge_stream_skewed_series{" not in client.get("/metrics").text
