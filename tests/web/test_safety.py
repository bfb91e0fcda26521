"""Headers, caches, the guard: what a browser and a stranger get."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.web.document import external
from tests.web.site_for_tests import NOW, Site, drifting
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.server import create_service_app

PATHS = (
    "/",
    "/charts/heatmap.svg?stream=spam",
    "/charts/series.svg?stream=spam&series=coverage&probe=check_out",
    "/static/page.css",
    "/static/icon.svg",
)


def policy(header: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in header.split(";"))
    return {name: sources for name, _, sources in parts}


@pytest.mark.parametrize("path", PATHS)
def test_the_policy_lets_nothing_in_from_outside(site: Site, path: str) -> None:
    drifting(site)
    headers = site.client.get(path).headers
    assert policy(headers["content-security-policy"]) == {
        "default-src": "'none'",
        "img-src": "'self'",
        "style-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"].startswith("private")


@pytest.mark.parametrize("path", ["/", "/?stream=none", *PATHS[1:]])
def test_no_address_leads_outside(site: Site, path: str) -> None:
    drifting(site)
    assert not external(site.client.get(path).text)


def test_the_page_keeps_to_its_policy(site: Site) -> None:
    drifting(site)
    page = site.get()
    assert not page.all("script")
    assert not page.all("style")
    inline = {a for e in page.elements for a in e.attributes if a == "style" or a.startswith("on")}
    assert not inline
    assert all(address.startswith(("/", "#")) for address in page.addresses())


@pytest.mark.parametrize("path", [p for p in PATHS if p != "/"])
def test_what_the_browser_has_is_not_sent_again(site: Site, path: str) -> None:
    row = drifting(site)
    first = site.client.get(path)
    known = {"If-None-Match": first.headers["etag"]}
    again = site.client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    if "charts" in path:
        from tests.web.site_for_tests import finding

        site.window(row, 6, finding(6))
        assert site.client.get(path, headers=known).status_code == 200


def test_themes_differ(site: Site) -> None:
    drifting(site)
    light, dark = (site.client.get(f"{PATHS[1]}&theme={t}").text for t in ("light", "dark"))
    assert light != dark


def test_every_route_is_guarded(site: Site) -> None:
    drifting(site)
    app = create_service_app(site.database, Health(), "secret", lambda: NOW)
    with TestClient(app) as stranger:
        answers = [stranger.get(path) for path in PATHS]
        assert [answer.status_code for answer in answers] == [401] * len(PATHS)
        stranger.headers["Authorization"] = "Bearer secret"
        assert [stranger.get(path).status_code for path in PATHS] == [200] * len(PATHS)


@pytest.mark.parametrize(
    "path", ["/static/../views.py", "/static/%2e%2e%2fviews.py", "/static/secret", "/static/"]
)
def test_only_static_files_are_served(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 404


@pytest.mark.parametrize("path", PATHS[1:3])
def test_a_picture_of_no_stream_is_not_found(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 404


@pytest.mark.parametrize("query", ["windows=0", "windows=121", "windows=x", "theme=pink"])
def test_bounds_are_kept(site: Site, query: str) -> None:
    drifting(site)
    assert site.client.get(f"{PATHS[1]}&{query}").status_code == 422


def test_the_pages_are_no_part_of_the_api(site: Site) -> None:
    assert site.app().openapi()["paths"] == {}
