"""What the page, the API and Prometheus are told of false alarms."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.service.streams_for_tests import HOUR, START
from tests.web.site_for_tests import BASELINE, Site, finding
from tidegauge_service.clock import to_iso
from tidegauge_service.store import deployments
from tidegauge_service.store.streams import Role
from tidegauge_service.store.windows import forecast
from tidegauge_service.web.words import moment


def record(site: Site, expected: float | None, windows: int = 4, **known: Any) -> None:
    row = site.stream(**known.pop("settings", {}))
    for window in range(windows):
        site.window(row, window, finding(window))
    with site.database.write() as connection:
        deployment = deployments.current(deployments.of_stream(connection, row.id), Role.LIVE)
        assert deployment is not None
        deployments.attach(connection, row, deployment, BASELINE)
        forecast.save(
            connection,
            row,
            BASELINE,
            budget="1 per quarter",
            allowed=0.0005,
            expected=expected,
            **known,
        )


def test_a_forecast_is_told_everywhere(site: Site, client: TestClient) -> None:
    record(site, 0.0002)
    page = site.get()
    assert "The budget is 1 per quarter." in page.text
    assert "From its own calibration, expect about 0.43 false incidents per quarter." in page.text
    assert "0 incidents opened in 4 compared windows" in page.text
    assert "over the budget" not in page.text
    told = client.get("/api/v1/streams/spam/false-alarms").json()
    assert told == {
        "baseline": BASELINE,
        "budget": "1 per quarter",
        "windows": 4,
        "allowed": pytest.approx(0.002),
        "predicted": pytest.approx(0.0008),
        "incidents": 0,
        "wandering": [],
        "left_out": [],
    }
    metrics = client.get("/metrics").text
    assert 'tidegauge_stream_predicted_false_incidents{stream="spam"} 0.0008' in metrics
    assert 'tidegauge_stream_incidents{stream="spam"} 0.0' in metrics


def test_a_stream_that_cannot_keep_its_budget_says_so(site: Site) -> None:
    record(site, 0.02)
    page = site.get()
    assert "expect about 43 false incidents per quarter" in page.text
    assert "That is over the budget: a longer baseline usually helps." in page.text


def test_while_learning_nothing_is_forecast(site: Site, client: TestClient) -> None:
    record(site, None)
    assert "No forecast while the baseline is learning" in site.get().text
    assert client.get("/api/v1/streams/spam/false-alarms").json()["predicted"] is None
    assert "predicted_false_incidents{" not in client.get("/metrics").text


def test_before_the_first_comparison_there_is_nothing_to_say(
    site: Site, client: TestClient
) -> None:
    site.stream()
    assert "The budget is" not in site.get().text
    told = client.get("/api/v1/streams/spam/false-alarms").json()
    assert (told["windows"], told["budget"]) == (0, None)


def test_incidents_since_the_baseline_are_counted(site: Site) -> None:
    record(site, 0.0002)
    row = site.stream()
    site.window(row, 4, finding(4, 0.4), finding(4, 0.4, probe="short"))
    assert "1 incident opened in 5 compared windows" in site.get().text


def test_wandering_series_and_stretches_left_out_are_named(site: Site, client: TestClient) -> None:
    names = [f"coverage(lf{n})" for n in range(7)]
    record(site, 0.0002, wandering=names, left_out=[(START + 3 * HOUR, START + 9 * HOUR)])
    page = site.get()
    assert "7 series wander, without a level to return to: coverage(lf0), " in page.text
    assert "coverage(lf4) and 2 more. No baseline fits that for long" in page.text
    since, until = to_iso(START + 3 * HOUR), to_iso(START + 9 * HOUR)
    assert f"because it looks like an incident: {since} to {until}." in page.text
    told = client.get("/api/v1/streams/spam/false-alarms").json()
    assert told["wandering"] == names
    assert told["left_out"] == [{"from": since, "until": until}]
    assert 'tidegauge_stream_wandering_series{stream="spam"} 7.0' in client.get("/metrics").text


def test_stretches_are_named_by_the_clock_of_the_stream(site: Site) -> None:
    record(site, None, left_out=[(START, START + HOUR)], settings={"timezone": "Europe/Berlin"})
    assert f"looks like an incident: {moment(START, 'Europe/Berlin')} to " in site.get().text
