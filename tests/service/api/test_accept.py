"""Skew and the new normal as people meet them: by command, by HTTP, and on the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.service import oracle
from tests.service.deployments.test_windows import Judged
from tests.service.group import NOW
from tests.service.jobs.evaluation.test_first_baseline import hours, live, spread, trained
from tests.service.streams_for_tests import HOUR, START
from tests.service.transactions import read
from tests.web.document import Document
from tidegauge_alerts.model import AlertState, Level
from tidegauge_probes.errors import TidegaugeError
from tidegauge_service.api.app import create_app
from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.api.context import ApiContext
from tidegauge_service.cli.main import app
from tidegauge_service.clock import to_iso
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import take_snapshot
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.web.pages.routes import pages

ACCEPT = "/api/v1/streams/test/deployments/accept"
SKEW = "/api/v1/streams/test/skew"


@pytest.fixture
def group(tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """Give a stream whose last ten hours of fifty are another normal, and let commands find it."""
    found = Judged(tmp_path, sqlite_database, hours(50, free_between=(40, 50)))
    monkeypatch.setenv("TIDEGAUGE_DATABASE", sqlite_database.url.render_as_string())
    return found


@pytest.fixture
def client(group: Judged) -> Iterator[TestClient]:
    figures = Collector(lambda: read(group.database, take_snapshot, NOW)).registry
    context = ApiContext(group.database, lambda: NOW, TokenAuth("secret"), figures, lambda: None)
    api = create_app(context)
    api.include_router(pages(group.database, lambda: NOW))
    with TestClient(api, headers={"Authorization": "Bearer secret"}) as client:
        yield client


def test_it_is_accepted_by_command(group: Judged) -> None:
    group.judge_until(50)
    since = to_iso(START + 42 * HOUR)
    done = CliRunner().invoke(
        app,
        ["baseline", "accept", "test", "--from", since, "--by", "me", "--json"],
        catch_exceptions=False,
    )
    made = json.loads(done.stdout)
    assert (made["made_as"], made["created_by"]) == ("accept", "me")
    assert made["from_ms"] == START + 50 * HOUR
    assert live(group).baseline == made["baseline"]
    shown = CliRunner().invoke(app, ["baseline", "show", made["baseline"]], catch_exceptions=False)
    assert f"from: {since}" in shown.stdout
    with pytest.raises(TidegaugeError, match="--from: 'soon' is not an ISO 8601 time"):
        CliRunner().invoke(
            app, ["baseline", "accept", "test", "--from", "soon"], catch_exceptions=False
        )


def test_without_a_start_the_oldest_alert_of_the_scan_tells_it(group: Judged) -> None:
    """Alerts of rules do not count, and of one that has settled its level does."""
    group.judge_until(50)
    opened = [a for a in read(group.database, alerts.open_alerts, group.stream.id) if not a.rule]
    oldest = min(opened, key=lambda alert: alert.opened_window_ms)
    assert oldest.opened_window_ms > START + 2 * HOUR
    early = replace(oldest, id="rule-1", rule="coverage of free above 1 %", opened_window_ms=START)
    level = Level(64, 1.0, 2.0, 1.0, oldest.opened_window_ms + HOUR)
    others = [replace(a, state=AlertState.SETTLED, settled=level) for a in opened]
    with group.database.write() as connection:
        alerts.save(connection, group.stream.id, [early, *others], [])
    done = CliRunner().invoke(app, ["baseline", "accept", "test"], catch_exceptions=False)
    assert f"7 windows from {to_iso(level.from_ms)} until " in done.stdout
    assert "learning: fewer than 48 windows" in done.stdout


def test_it_is_accepted_by_http(group: Judged, client: TestClient) -> None:
    early = client.post(ACCEPT)
    assert (early.status_code, early.json()["code"]) == (409, "change_refused")
    group.judge_until(50)
    assert "tidegauge baseline accept test" in client.get("/").text, "it is offered"
    assert client.post(ACCEPT, json={"from": "soon"}).json()["code"] == "invalid_parameter"
    assert client.post(ACCEPT, json={"since": "2020"}).status_code == 422
    empty = client.post(ACCEPT, json={"from": to_iso(START - 9 * HOUR), "until": to_iso(START)})
    said = empty.json()["detail"]
    assert (empty.status_code, "the baseline is empty" in said) == (409, True)
    assert f"its records lie from {to_iso(START)} to " in said
    assert client.post(ACCEPT, headers={"Authorization": "Bearer no"}).status_code == 401
    shares = {"HAM": 0.6, "SPAM": 0.6}
    wrong = client.post(ACCEPT, json={"balance": shares})
    assert (wrong.status_code, "add up to 1" in wrong.json()["detail"]) == (409, True)
    assert client.post(ACCEPT, json={"balance": {"HAM": "many"}}).status_code == 422
    made = client.post(ACCEPT)
    assert made.status_code == 201
    assert made.json()["made_as"] == "accept"
    page = Document(client.get("/").text)
    rows = [row for row in page.texts("tr") if "api (accept)" in row]
    assert len(rows) == 1
    assert str(made.json()["baseline"]) in rows[0]


def test_skew_is_seen_in_the_api_on_the_page_and_in_the_metrics(
    tmp_path: Path, sqlite_database: Database
) -> None:
    group = Judged(tmp_path, sqlite_database, hours(60))
    thanks = list(oracle.TEXTS).index("thanks for all the fish")
    training = trained(group, [spread(n) if n % 10 == 0 else thanks for n in range(3_000)])
    figures = Collector(lambda: read(sqlite_database, take_snapshot, NOW)).registry
    context = ApiContext(sqlite_database, lambda: NOW, TokenAuth("secret"), figures, lambda: None)
    api = create_app(context)
    api.include_router(pages(sqlite_database, lambda: NOW))
    with TestClient(api, headers={"Authorization": "Bearer secret"}) as client:
        group.judge_until(30)
        untested = client.get(SKEW).json()
        assert untested == {"tested": None, "training": None, "baseline": training, "items": []}
        assert [s.skew for s in read(sqlite_database, take_snapshot, NOW).streams] == [None]
        assert "Training data and live traffic" not in Document(client.get("/").text).texts("h2")
        group.judge_until(60)
        found = client.get(SKEW).json()
        assert (found["training"], found["baseline"]) == (training, live(group).baseline)
        texts = [item["text"] for item in found["items"]]
        assert any(text.startswith("Coverage of LF 'thanks'") for text in texts)
        assert f'skewed_series{{stream="test"}} {len(texts)}.0' in client.get("/metrics").text
        assert "Training data and live traffic" in Document(client.get("/").text).texts("h2")
        page = Document(client.get("/").text)
        assert f"{len(texts)} series in which the training data (baseline {training})" in page.text
        assert any("Coverage of LF 'thanks'" in row for row in page.texts("tr"))
