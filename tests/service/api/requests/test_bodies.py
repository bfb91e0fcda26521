"""How large, how slow and how packed a body may be, on every route that reads one."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tests.service.api.site import Site
from tidegauge_service.api.problems import Problem
from tidegauge_service.api.requests import bodies, inflation
from tidegauge_service.api.requests.bodies import MOST_BYTES, Body
from tidegauge_service.api.requests.inflation import BodyTooLarge, Coding, inflate

EVENTS = "/api/v1/streams/test/events"
DEPLOYMENTS = "/api/v1/streams/test/deployments"
PROMOTE = "/api/v1/streams/test/deployments/promote"
ACCEPT = "/api/v1/streams/test/deployments/accept"
JSON = {"Content-Type": "application/json"}
SHADOW = json.dumps(
    {
        "role": "shadow",
        "probes": {
            "classes": ["HAM", "SPAM"],
            "probes": [{"name": "new", "label": "SPAM", "keyword": {"any": ["x"]}}],
        },
    }
).encode()


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
@pytest.mark.parametrize(
    ("path", "body", "status"), [(EVENTS, b"[{}]", 202), (DEPLOYMENTS, SHADOW, 201)]
)
def test_packed_bodies_are_read(
    site: Site, path: str, body: bytes, status: int, *, coding: str, pack: Any
) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    answer = site.client.post(path, content=pack(body), headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("br", b"x", 415, "unsupported_media_type"),
        ("gzip, gzip", b"x", 415, "unsupported_media_type"),
        ("zstd", b"", 415, "unsupported_media_type"),
        ("gzip", b"[{}]", 400, "invalid_encoding"),
        ("gzip", gzip.compress(b"[{}]")[:-9], 400, "invalid_encoding"),
        ("gzip", gzip.compress(b"[{}]") + b"more", 400, "invalid_encoding"),
        ("deflate", b"\xff\xff", 400, "invalid_encoding"),
        ("deflate", zlib.compress(b"[{}]")[:-1], 400, "invalid_encoding"),
        ("deflate", zlib.compress(b"[{}]") + b"more", 400, "invalid_encoding"),
        ("deflate", b"", 400, "invalid_encoding"),
    ],
)
@pytest.mark.parametrize("path", [EVENTS, DEPLOYMENTS])
def test_what_cannot_be_unpacked_says_so(
    site: Site, path: str, coding: str, body: bytes, *, status: int, code: str
) -> None:
    answer = site.client.post(path, content=body, headers={**JSON, "Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 415:
        assert answer.headers["accept-encoding"] == inflation.ACCEPTED


@given(data=st.binary(max_size=2_000), most=st.integers(0, 2_000), cut=st.integers(0, 4))
def test_unpacking_gives_back_what_was_packed_or_says_why_not(
    data: bytes, most: int, cut: int
) -> None:
    for coding, pack in ((Coding.GZIP, gzip.compress), (Coding.DEFLATE, zlib.compress)):
        packed = pack(data)
        if len(data) <= most:
            assert inflate(packed, coding, most) == data
        else:
            with pytest.raises(BodyTooLarge):
                inflate(packed, coding, most)
        if cut:
            with pytest.raises((Problem, BodyTooLarge)):
                inflate(packed[:-cut], coding, len(data))


def chunks(total: int) -> Iterator[bytes]:
    yield b'{"role": "live", "probes": {"x": "'
    for _ in range(total // 65_536 + 1):
        yield b"y" * 65_536


@pytest.mark.parametrize("path", [EVENTS, DEPLOYMENTS, PROMOTE, ACCEPT])
def test_no_body_is_read_beyond_its_limit(site: Site, path: str) -> None:
    most = 8 * 2**20 if path == EVENTS else MOST_BYTES
    large = b" " * (most + 1)
    for content, more in (
        (large, {}),
        (chunks(most), {}),
        (gzip.compress(b"0" * 2**28, 1), {"Content-Encoding": "gzip"}),
    ):
        answer = site.client.post(path, content=content, headers={**JSON, **more})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), answer.text
        assert str(most) in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b"\xff",
        b"[" * 100_000,
        b'{"x": ' + b"9" * 5_000 + b"}",
        b'{"x": NaN}',
        b"{}{}",
    ],
)
@pytest.mark.parametrize("path", [DEPLOYMENTS, PROMOTE, ACCEPT])
def test_what_is_not_json_says_so(site: Site, path: str, body: bytes) -> None:
    answer = site.client.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PROMOTE, rb'{"baseline": "\ud800"}'),
        (PROMOTE, rb'{"baseline": "\u0000"}'),
        (DEPLOYMENTS, rb'{"role": "live", "probe_set": "\udfff"}'),
        (ACCEPT, rb'{"from": "\u0000"}'),
        (ACCEPT, rb'{"until": "\ud800"}'),
    ],
)
def test_text_that_no_database_takes_is_a_mistake_of_the_caller(
    any_site: Site, path: str, body: bytes
) -> None:
    answer = any_site.client.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter"), answer.text


async def slowly(pieces: list[bytes], pause_s: float, patience_s: float) -> bytes:
    """Read a body of which a piece comes every *pause_s* seconds."""
    waiting = iter(pieces)

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        piece = next(waiting, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    body = Body(receive, Headers(), patience_s)
    found, more = b"", True
    while more:
        message = await body.receive()
        found, more = found + message["body"], message["more_body"]
    return found


def test_a_body_that_drips_is_given_up() -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(slowly([b"x"] * 1_000, 0.01, patience_s=0.1))
    assert (raised.value.status_code, raised.value.code) == (408, "body_too_slow")


def test_a_body_that_never_begins_is_given_up() -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(slowly([], 3_600, patience_s=0.1))
    assert raised.value.status_code == 408


def test_what_has_come_buys_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOWEST", 100.0)
    pieces = [b"x" * 1_000] * 30
    assert asyncio.run(slowly(pieces, 0.01, patience_s=5.0)) == b"".join(pieces)
