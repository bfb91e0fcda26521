"""What a caller gets wrong is said, never passed over in silence and never our error."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute

from tests.service.api.site import TOKEN, Site

ROUTES = [
    "/api/v1/streams",
    "/api/v1/streams/test",
    "/api/v1/streams/test/windows",
    "/api/v1/streams/test/precision",
    "/api/v1/streams/test/skew",
    "/api/v1/streams/test/false-alarms",
    "/api/v1/streams/test/deployments",
    "/api/v1/streams/test/deployments/diff",
    "/api/v1/streams/test/deployments/live/windows",
    "/api/v1/streams/test/dead-letters",
    "/api/v1/streams/test/dead-letters/0/0",
    "/api/v1/alerts",
    "/api/v1/alerts/a",
    "/api/v1/incidents",
    "/api/v1/incidents/a",
    "/api/v1/candidates",
    "/metrics",
    "/",
    "/charts/heatmap.svg",
    "/charts/series.svg",
    "/static/page.css",
    "/login",
]


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def test_these_are_all_routes(site: Site) -> None:
    paths = {path.replace("{name}", "test") for path in site.app.openapi()["paths"]}
    variable = {"{alert_id}": "a", "{incident_id}": "a"}
    variable |= {"{probe_set}": "live", "{partition}/{offset}": "0/0"}
    for part, value in variable.items():
        paths = {path.replace(part, value) for path in paths}
    posted = {
        "events",
        "deployments/promote",
        "deployments/rollback",
        "deployments/accept",
        "deployments/shadow",
    }
    rest = {f"/api/v1/streams/test/{path}" for path in posted} | {"/healthz", "/readyz"}
    assert paths - rest == {
        path for path in ROUTES if path.startswith("/api") or path == "/metrics"
    }


@pytest.mark.parametrize("path", ROUTES)
def test_a_parameter_that_a_route_does_not_have_is_an_error(site: Site, path: str) -> None:
    answer = site.client.get(path, params={"strean": "test"})
    assert code(answer) == (422, "invalid_parameter")
    assert "unknown parameter 'strean'; parameters: " in answer.json()["detail"]


def test_the_parameters_that_there_are_are_named(site: Site) -> None:
    detail = site.client.get("/api/v1/alerts?stat=firing").json()["detail"]
    assert detail.endswith("parameters: cursor, limit, since, state, stream, until")


@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "state=firing&state=pending", "=", "&x", "Limit=1"]
)
def test_a_parameter_is_given_once_and_as_it_is_written(site: Site, query: str) -> None:
    assert code(site.client.get(f"/api/v1/alerts?{query}")) == (422, "invalid_parameter")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_so_it_is_with_changes(site: Site, method: str) -> None:
    path = "/api/v1/streams/test/deployments/" + ("rollback" if method == "POST" else "shadow")
    assert code(site.client.request(method, f"{path}?dry=1")) == (422, "invalid_parameter")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_load_balancers_may_ask_as_they_like(site: Site, path: str) -> None:
    assert site.client.get(f"{path}?verbose=1").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("/api/v1/candidates?stream=nope", (404, "unknown_stream")),
        ("/api/v1/candidates?stream=", (404, "unknown_stream")),
        ("/api/v1/candidates?lf=nope", (404, "unknown_lf")),
        ("/api/v1/candidates?stream=test&lf=Keyword", (404, "unknown_lf")),
        ("/api/v1/candidates?segment=party%3DX", (404, "unknown_segment")),
        ("/api/v1/candidates?alert=nope", (404, "unknown_alert")),
        ("/api/v1/candidates?alert=", (404, "unknown_alert")),
        ("/api/v1/candidates?state=odd", (422, "invalid_parameter")),
        ("/api/v1/candidates?reason=odd", (422, "invalid_parameter")),
        ("/api/v1/candidates?since=2026-01-02&until=2026-01-01", (422, "invalid_parameter")),
        ("/api/v1/alerts?stream=nope", (404, "unknown_stream")),
        ("/api/v1/alerts?since=2026-01-02&until=2026-01-02", (422, "invalid_parameter")),
        ("/api/v1/streams/test/windows?series=coverag", (422, "invalid_parameter")),
        ("/api/v1/streams/test/windows?probe=nope", (404, "unknown_lf")),
        ("/api/v1/streams/test/windows?segment=nope", (404, "unknown_segment")),
        (
            "/api/v1/streams/test/precision?since=2026-01-02&until=2026-01-01",
            (422, "invalid_parameter"),
        ),
        ("/api/v1/streams/test/deployments/diff?before=nope", (404, "unknown_deployment")),
        ("/api/v1/streams/test/dead-letters?reason=odd", (422, "invalid_parameter")),
    ],
)
def test_a_filter_whose_value_cannot_exist_is_an_error(
    any_site: Site, query: str, expected: tuple[int, str]
) -> None:
    answer = any_site.client.get(query)
    assert code(answer) == expected
    assert answer.json()["detail"], "it says what is wrong"


@pytest.mark.parametrize(
    "query",
    [
        "/api/v1/candidates?stream=test&lf=mentions_free&segment=_all&state=proposed&reason=conflict",
        "/api/v1/candidates?since=2026-01-01&until=2026-01-02",
        "/api/v1/streams/test/windows?series=coverage&probe=mentions_free&segment=_all",
        "/api/v1/streams/test/dead-letters?reason=not_json",
    ],
)
def test_a_filter_that_finds_nothing_gives_an_empty_list(site: Site, query: str) -> None:
    answer = site.client.get(query)
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize("path", ROUTES)
def test_head_is_get_without_the_content(site: Site, path: str) -> None:
    query = {"/charts/heatmap.svg": "?stream=test", "/login": f"?token={TOKEN}"}.get(path, "")
    head, get = site.client.head(path + query), site.client.get(path + query)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"] if get.content else True


@pytest.mark.parametrize(
    "path", ["/api/v1/streams/", "/api/v1/streams/test/", "/healthz/", "/metrics/"]
)
def test_a_slash_too_many_is_no_redirect(site: Site, path: str) -> None:
    answer = site.client.get(path)
    assert code(answer) == (404, "not_found")
    assert "slash" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "ODD"])
def test_another_method_says_which_there_are(site: Site, method: str) -> None:
    answer = site.client.request(method, "/api/v1/streams/test/events")
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert "only allows POST" in answer.json()["detail"]


def test_an_error_of_our_own_is_a_problem_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tidegauge_service.store.windows.queries.summaries", broken)
    assert code(site.client.get("/api/v1/streams")) == (500, "internal_error")


def test_every_route_with_a_body_parses_it_beside_the_loop(site: Site) -> None:
    from tidegauge_service.api.app import MODULES
    from tidegauge_service.api.requests.json_body import JsonRoute

    routes = [
        r for m in MODULES for r in m.router.routes if isinstance(r, APIRoute) and r.body_field
    ]
    assert routes
    assert all(isinstance(route, JsonRoute) for route in routes)
