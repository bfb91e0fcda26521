"""API, metrics and exports of a running service, fetched as a user would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.e2e.demo_stream import RECORDS, WINDOWS, write_demo_stream
from tests.e2e.running import tidegauge
from tests.e2e.serving import TOKEN, Serving, serving
from tests.servers.waiting import wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service that has read the demo's story to its end."""
    folder = tmp_path_factory.mktemp("serving")
    with serving(write_demo_stream(folder), cwd=folder) as found:
        wait_until(
            lambda: found.json("/api/v1/streams/demo")["windows"] >= WINDOWS - 1,
            timeout=90,
            interval=0.5,
            what="the last window",
        )
        yield found


def test_everything_but_health_needs_the_token(service: Serving) -> None:
    paths = service.json("/api/v1/openapi.json")["paths"]
    assert "/api/v1/candidates" in paths
    for path in [*paths, "/", "/api/v1/openapi.json"]:
        concrete = path.replace("{name}", "demo").replace("{alert_id}", "x")
        status = service.get(concrete, token=None).status_code
        open_to_all = {"/healthz", "/readyz", "/api/v1/openapi.json"}
        assert (status == 200) == (concrete in open_to_all), f"{concrete}: {status}"
        assert service.get(concrete, token="wrong").status_code == status


def test_the_token_opens_the_page_once_and_for_all(service: Serving) -> None:
    import httpx2

    with httpx2.Client(base_url=service.url, follow_redirects=True) as browser:
        assert browser.get("/login?token=wrong").status_code == 401
        page = browser.get(f"/login?token={TOKEN}")
        assert page.status_code == 200
        assert page.url.path == "/"
        assert TOKEN not in str(page.url)
        assert browser.get("/api/v1/streams").status_code == 200


def test_the_address_is_printed_and_the_token_is_not(service: Serving) -> None:
    printed = service.log.read_text()
    assert f"open {service.url}/login?token=… with your TIDEGAUGE_TOKEN" in printed
    assert TOKEN not in printed


def test_it_is_ready(service: Serving) -> None:
    assert service.get("/readyz", token=None).json() == {"status": "ready"}


def test_windows_add_up_to_the_records(service: Serving) -> None:
    stream = service.json("/api/v1/streams/demo")
    dead = sum(stream["dead_letters"].values())
    assert stream["records"] + dead == RECORDS
    assert dead > 0
    seen, cursor = [], ""
    while True:
        page = service.json(f"/api/v1/streams/demo/windows?limit=50&series=blind_spot{cursor}")
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len(seen) == stream["windows"]
    assert [w["start"] for w in seen] == sorted({w["start"] for w in seen})
    assert {w["state"] for w in seen} == {"baseline", "compared"}
    [blind] = [s for s in seen[70]["series"] if s["segment"] == "_all"]
    assert blind["verdict"] == "shifted"
    assert blind["observed"] == blind["x"] / blind["n"] > blind["high"]


def test_an_alert_tells_its_history(service: Serving) -> None:
    [alert] = [
        a
        for a in service.json("/api/v1/alerts?stream=demo&limit=1000")["items"]
        if (a["series"], a["probe"], a["segment"]) == ("coverage", "mentions_vicodin", "_all")
    ]
    assert alert["observed"] < alert["low"] < alert["expected"]
    detail = service.json(alert["links"]["self"])
    assert [(t["from"], t["to"]) for t in detail["history"]][:2] == [
        (None, "pending"),
        ("pending", "firing"),
    ]


def test_candidates_come_in_four_formats_with_the_same_content(service: Serving) -> None:
    query = "/api/v1/candidates?stream=demo&reason=blind_spot"
    lines = service.get(f"{query}&format=ndjson").text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows
    ids = [row["id"] for row in rows]
    assert all(row["votes"] == {} and "blind_spot" in row["reasons"] for row in rows)
    assert all(0 < row["inclusion_probability"]["blind_spot"] <= 1 for row in rows)

    answer = service.get(query, Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(answer.text))] == ids

    table = pq.read_table(io.BytesIO(service.get(f"{query}&format=parquet").content))
    assert table["id"].to_pylist() == ids
    assert all(table["text"].to_pylist())

    paged, cursor = [], ""
    while True:
        page = service.json(f"{query}&limit=100{cursor}")
        paged += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert paged == ids


def test_candidates_show_the_new_topic(service: Serving) -> None:
    """The blind spot's candidates hold the topic that no LF knows, as often as traffic does."""
    query = "/api/v1/candidates?stream=demo&reason=blind_spot&format=ndjson"
    rows = [json.loads(line) for line in service.get(query).text.splitlines()]
    new = [
        r
        for r in rows
        if "wallet" in r["payload"]["text"].lower() or "airdrop" in r["payload"]["text"].lower()
    ]
    assert len(new) > 0.2 * len(rows)


def test_the_command_line_exports_the_same(service: Serving) -> None:
    folder = service.log.parent
    done = tidegauge(
        "candidates",
        "export",
        "--stream",
        "demo",
        "--reason",
        "conflict",
        cwd=folder,
        database=f"sqlite:///{folder}/live.db",
    )
    answer = service.get("/api/v1/candidates?stream=demo&reason=conflict&format=ndjson")
    assert done.stdout == answer.text


@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("/api/v1/streams/nope", 404, "unknown_stream", "streams: demo"),
        ("/api/v1/candidates?stream=nope", 404, "unknown_stream", "demo"),
        ("/api/v1/alerts/nope", 404, "unknown_alert", "nope"),
        ("/api/v1/alerts?since=yesterday", 422, "invalid_parameter", "ISO-8601"),
        ("/api/v1/alerts?cursor=%01", 422, "invalid_cursor", "unchanged"),
        ("/api/v1/alerts?stream=%00", 422, "invalid_parameter", "NUL"),
        ("/api/v1/streams/a%00b", 422, "invalid_parameter", "NUL"),
        ("/api/v1/alerts?cursor=e30", 422, "invalid_cursor", "unchanged"),
        ("/api/v1/alerts?limit=0", 422, "invalid_parameter", "limit"),
        ("/api/v1/alerts?state=odd", 422, "invalid_parameter", "state"),
        ("/api/v1/candidates?format=xml", 422, "invalid_parameter", "format"),
        ("/api/v2", 404, "not_found", "/api/v2"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(
    service: Serving, path: str, status: int, code: str, says: str
) -> None:
    answer = service.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert says in problem["detail"]


def test_metrics_need_the_token_and_are_current(service: Serving) -> None:
    text = service.get("/metrics").text
    assert 'tidegauge_records_total{partition="0",stream="demo"}' in text
    assert "tidegauge_snapshot_up 1.0" in text
    assert 'tidegauge_lf_run_seconds_total{probe="mentions_vicodin",stream="demo"}' in text
