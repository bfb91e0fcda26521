"""What anybody may send: odd tokens, and documents with a key twice."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

DEPLOYMENTS = "/api/v1/streams/test/deployments"
TWICE = (
    b'{"role": "shadow", "probes": {"classes": ["A", "B"], "probes": [{"name": "a", "label": "A", '
    b'"keyword": {"any": ["x"]}, "keyword": {"any": ["y"]}}]}}'
)

ODD = [b"", b"Bearer", b"Bearer \xff\xfe", "Bearer ä".encode(), b"Bearer \xed\xa0\x80", b"\xc3"]


@pytest.mark.parametrize("sent", ODD)
def test_an_odd_token_is_no_token(client: TestClient, sent: bytes) -> None:
    cookie = b"tidegauge_token=" + sent
    for headers in ({b"Authorization": sent}, {b"Authorization": b"", b"Cookie": cookie}):
        answer = client.get("/api/v1/streams", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_a_browser_without_the_token_gets_a_page_that_says_how_to_sign_in(
    client: TestClient,
) -> None:
    browser = {b"Authorization": b"", b"Accept": b"text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/", "/api/v1/streams", "/<b>"):
        answer = client.get(path, headers=browser)
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.text.startswith("<!doctype html>")
        assert "<b>" not in answer.text
    assert "/login?token=TOKEN" in client.get("/", headers=browser).text
    script = client.get("/", headers={b"Authorization": b"", b"Accept": b"*/*"})
    assert script.json()["code"] == "unauthorized"


def test_a_key_that_is_there_twice_is_refused_in_a_posted_document(client: TestClient) -> None:
    answer = client.post(DEPLOYMENTS, content=TWICE, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "duplicate key 'keyword'" in answer.json()["detail"]
    deep = b'{"role": "shadow", "probes": ' + b'{"a":' * 500 + b"1" + b"}" * 501
    answer = client.post(DEPLOYMENTS, content=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    once = TWICE.replace(b'"keyword": {"any": ["y"]}', b'"description": "d"')
    answer = client.post(DEPLOYMENTS, content=once, headers={"Content-Type": "application/json"})
    assert answer.json()["code"] == "unknown_stream"
