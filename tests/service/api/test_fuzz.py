"""Whatever a caller sends, to any route, on either database: no error is called ours."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.api.site import Site

ODD_TEXTS = (
    "",
    "\0",
    "a\0b",
    "live",
    "shadow",
    "test",
    "other",
    "_all",
    "'; --",
    "%",
    "\u202e",
    "😀",
    "a" * 10_000,
    str(2**31),
    str(2**63 - 1),
    str(2**63),
    "-" + "9" * 30,
    "9" * 5_000,
    "1e309",
    "nan",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-01-01",
    "2026-W01-1",
    "24:00",
)


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ODD_CURSORS = [
    cursor(value)
    for value in (
        [0, ""],
        [2**63 - 1, ""],
        [2**63, "x"],
        [-(2**63), "0:0"],
        [10**400, ""],
        [1, "\ud800"],
        [1, "\0"],
        [0, "0:9223372036854775808"],
        [0, "99999999999:1"],
        [0, "0:" + "1" * 5_000],
        [0, "x" * 5_000],
        [True, ""],
        {"a": 1},
    )
]

# Raw, percent-encoded: NUL, a lone surrogate, and bytes that are not UTF-8.
ODD_BYTES = ("%00", "%ED%A0%80", "%FF%FE", "%2F", "%25%30%30", "%C0%80", "+", "%0d%0a")

texts = st.one_of(
    st.sampled_from(ODD_TEXTS).map(lambda text: quote(text, safe="")),
    st.sampled_from(ODD_CURSORS),
    st.sampled_from(ODD_BYTES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda t: quote(t, safe="")),
    st.integers().map(str),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(ODD_TEXTS), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "probes",
                    "probe_set",
                    "baseline",
                    "from",
                    "until",
                    "classes",
                    "name",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([rb'[{"id": "\u0000"}]', rb'[{"id": "\ud800", "timestamp": "\udfff"}]']),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "application/x-ndjson", "text/plain", "application/json;;=", "é"]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "identity", ""]),
        "Accept": st.sampled_from(
            [
                "application/openmetrics-text; version=x",
                "application/openmetrics-text; version=1.0.0; escaping=odd",
                "text/plain; version=",
                "text/plain; version=1..0",
                "text/csv",
                "application/vnd.apache.parquet",
                ",;q",
            ]
        ),
        "Idempotency-Key": st.sampled_from(["k", "\xff", "x" * 255, "x" * 256]),
        "If-None-Match": st.sampled_from(['"', "*", "\xff"]),
        "Host": st.sampled_from(["[", "[::1", "a b", "\xff", "x:99999"]),
    },
)


def routes(site: Site) -> list[tuple[str, str, list[str]]]:
    """Return method, path and query parameters of each route, those of the page among them."""
    found = [
        (method, path, [p["name"] for p in about.get("parameters", []) if p["in"] == "query"])
        for path, methods in site.app.openapi()["paths"].items()
        for method, about in methods.items()
    ]
    series = ["series", "segment", "probe", "other", "label", "windows", "theme"]
    page = [
        ("get", "/", ["stream", "segment", "windows"]),
        ("get", "/charts/heatmap.svg", ["stream", "segment", "windows", "theme"]),
        ("get", "/charts/series.svg", ["stream", *series]),
        ("get", "/static/{name}", []),
        ("get", "/login", ["token"]),
    ]
    return found + page


@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_request_is_an_error_of_ours(any_site: Site, data: st.DataObject) -> None:
    method, path, names = data.draw(st.sampled_from(routes(any_site)))
    for part in ("{name}", "{alert_id}", "{probe_set}", "{partition}", "{offset}"):
        if part in path:
            likely = st.sampled_from(["test", "other"]) if part == "{name}" else texts
            path = path.replace(part, data.draw(st.one_of(likely, likely, texts)))
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
    query = "&".join(
        f"{name}={'test' if name == 'stream' else data.draw(texts)}" for name in chosen
    )
    given_headers = {k.encode(): v.encode("latin-1") for k, v in data.draw(headers).items()}
    content = data.draw(bodies) if method in {"post", "delete"} else None
    url = f"http://testserver{path}?{query}"
    answer = any_site.client.request(method, url, content=content, headers=given_headers)
    assert answer.status_code < 500, (method, url, content, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@pytest.mark.parametrize("body", [rb'[{"id": "\u0000"}]', b'[{"id": "a"}]', b'[{"id": 1e3}]'])
def test_any_id_of_an_event_is_kept(any_site: Site, body: bytes) -> None:
    for _ in range(2):
        answer = any_site.client.post(
            "/api/v1/streams/test/events",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    "accept", ["version=x", "version=", "version=1..0", "version=1;escaping=odd"]
)
def test_metrics_are_shown_whatever_version_is_asked_for(site: Site, accept: str) -> None:
    for kind in ("application/openmetrics-text", "text/plain"):
        answer = site.client.get("/metrics", headers={"Accept": f"{kind}; {accept}"})
        assert answer.status_code == 200
        assert "tidegauge_snapshot_up 1.0" in answer.text
