"""The page in a real browser: it is painted, and loads its style and pictures, nothing else."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.servers.chromium import Chromium
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import wait_until
from tests.web.site_for_tests import Site, drifting

DARK = "--blink-settings=preferredColorScheme=0"
SIZES = [(1280, 900), (375, 800)]


@dataclass
class Served:
    """A page behind a port, and what was asked of it."""

    url: str
    asked: list[tuple[str, int]] = field(default_factory=list)

    def paths(self) -> set[str]:
        return {path for path, _ in self.asked}


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    drifting(site)
    port = free_port()
    found = Served(f"http://{HOST}:{port}/")
    app = site.app()

    @app.middleware("http")
    async def note(request: Any, call_next: Any) -> Any:
        answer = await call_next(request)
        found.asked.append((request.url.path, answer.status_code))
        return answer

    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout=30, what="the page")
        yield found
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Png:
    """A picture's size and its filtered lines."""

    width: int
    height: int
    lines: tuple[bytes, ...]


def read_png(path: Path) -> Png:
    """Read a PNG's header and unpack its lines, without undoing their filters."""
    data, at, packed = path.read_bytes(), 8, b""
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(packed)
    size = 1 + width * depth // 8 * {0: 1, 2: 3, 6: 4}[kind]
    return Png(width, height, tuple(raw[n : n + size] for n in range(0, len(raw), size)))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_the_page_is_painted(
    served: Served,
    chromium: Chromium,
    tmp_path: Path,
    size: tuple[int, int],
    flags: tuple[str, ...],
) -> None:
    path, (width, height) = tmp_path / "page.png", size
    chromium.screenshot(served.url, path, width=width, height=height, flags=flags)
    picture = read_png(path)
    assert (picture.width, picture.height) == size
    assert len(set(picture.lines)) > height / 4  # a blank page repeats one line
    expected = {"/", "/static/page.css", "/charts/heatmap.svg", "/charts/series.svg"}
    assert expected <= served.paths() <= expected | {"/static/icon.svg"}
    assert {status for _, status in served.asked} == {200}


def test_the_reader_prefers_dark(served: Served, chromium: Chromium, tmp_path: Path) -> None:
    light = chromium.screenshot(served.url, tmp_path / "light.png")
    dark = chromium.screenshot(served.url, tmp_path / "dark.png", flags=(DARK,))
    assert light.read_bytes() != dark.read_bytes()


def test_the_browser_reads_what_was_sent(served: Served, chromium: Chromium) -> None:
    dom = chromium.dump_dom(served.url)
    assert "3 alerts firing, 3 critical" in dom
    assert "<parsererror" not in dom
