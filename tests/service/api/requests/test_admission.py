"""The token comes first: nothing of a stranger's request is read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.api.site import Site
from tidegauge_service.api.auth import TokenAuth


async def ask(site: Site, method: str, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """Return the status, and how many messages of the body were asked for."""
    read, statuses = 0, list[int]()

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
    }
    await site.app(scope, receive, send)
    return statuses[0], read


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic secret"},
        {"Authorization": "Bearer \xff"},
        {"Cookie": 'tidegauge_token="\\377"'},
        {"Cookie": "tidegauge_token=; =;;"},
    ],
)
@pytest.mark.parametrize("path", ["deployments", "events", "deployments/promote", "nowhere"])
def test_no_byte_of_a_strangers_body_is_read(
    site: Site, path: str, headers: dict[str, str]
) -> None:
    given = {"Content-Type": "application/json", "Content-Length": "300000000", **headers}
    answer = asyncio.run(ask(site, "POST", f"/api/v1/streams/test/{path}", given))
    assert answer == (401, 0)


def test_every_address_but_four_needs_the_token(site: Site) -> None:
    site.client.headers.pop("Authorization")
    paths = [getattr(route, "path", "") for route in site.app.routes]
    assert "/api/v1/openapi.json" in paths
    for path in [*site.app.openapi()["paths"], *filter(None, paths), "/", "/nowhere", "//healthz"]:
        status = site.client.get(path).status_code
        open_to_all = {"/healthz", "/readyz", "/api/v1/openapi.json"}
        assert (status != 401) == (path in open_to_all), f"{path}: {status}"


def test_any_text_is_compared_with_the_token() -> None:
    odd = "\udcff not UTF-8"
    assert TokenAuth(odd).accepts(odd)
    assert not TokenAuth("secret").accepts(odd)
    assert not TokenAuth(odd).accepts("secret")


@pytest.mark.parametrize(
    ("accept", "way_in"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "open /login?token=TOKEN in this browser"),
        ("*/*", "send `Authorization: Bearer TOKEN`"),
    ],
)
def test_a_browser_is_told_where_to_log_in(site: Site, accept: str, way_in: str) -> None:
    site.client.headers.pop("Authorization")
    answer = site.client.get("/", headers={"Accept": accept})
    assert answer.status_code == 401
    if "html" in accept:
        assert f"What to do: {way_in}" in answer.text
    else:
        assert answer.json()["detail"].startswith(way_in)
