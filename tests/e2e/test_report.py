"""``replay --report``: one file that shows what a replay found, and needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.running import last_json, tidegauge
from tests.servers.chromium import Chromium
from tests.service.streams_for_tests import HOUR, START, record, write_jsonl, write_stream
from tests.web.document import Document, external
from tidegauge_service.clock import to_iso
from tidegauge_service.web import words

HOSTILE = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}\u202e\x07"
DRAWN = {"svg", "g", "path", "text", "tspan", "line", "rect", "defs", "clipPath"}
DRAWN |= {"linearGradient", "stop"}
BASELINE_HOURS, HOURS, A_HOUR = 60, 90, 60
BROKEN = range(70, 80)


def probes(name: str) -> dict[str, Any]:
    """Return an LF with this name that votes on "free", and one for "thanks"."""
    return {
        "classes": ["HAM", "SPAM"],
        "probes": [
            {"name": name, "label": "SPAM", "keyword": {"any": ["free"]}},
            {"name": "thanks", "label": "HAM", "keyword": {"any": ["thanks"]}},
        ],
    }


def traffic(place: str) -> list[Any]:
    """Return hours of traffic, a quarter with "free"; in ten of them none has it.

    One record comes late, one is none.
    """
    found: list[Any] = []
    for n in range(HOURS * A_HOUR):
        hour = n // A_HOUR
        free = (n * 7 + hour) % 4 == 0 and hour not in BROKEN
        text = "a free lunch" if free else "thanks a lot" if n % 3 else "hello there"
        at = START + hour * HOUR + n % A_HOUR * 60_000
        found.append(record(n, text, ms=at, place=place))
    return [*found, record(-1, "late", ms=START), b"not json"]


def reported(
    folder: Path, name: str = "mentions_free", place: str = "north", **changes: Any
) -> Document:
    write_jsonl(folder / "records.jsonl", traffic(place))
    baseline = {"from": to_iso(START), "until": to_iso(START + BASELINE_HOURS * HOUR)}
    stream = write_stream(
        folder,
        probes(name),
        baseline=baseline,
        segment_by=["place"],
        limits={"commit_records": 1_000},  # what is late is told from one commit to the next
        **changes,
    )
    done = tidegauge("replay", stream, "--report", "out.html", "--json", cwd=folder)
    assert last_json(done.stdout)["alerts"]
    return Document((folder / "out.html").read_text(encoding="utf-8"))


def pictures(page: Document) -> list[str]:
    """Return the SVG documents that the page holds."""
    start = "data:image/svg+xml;base64,"
    found = [a for a in page.addresses() if a.startswith("data:")]
    assert all(a.startswith(start) for a in found)
    return [base64.b64decode(a.removeprefix(start)).decode() for a in found]


def test_it_says_what_was_found(tmp_path: Path) -> None:
    page = reported(tmp_path)
    assert page.fact("Records") == f"{HOURS * A_HOUR + 1:,}"
    assert page.fact("Late") == "1"
    assert page.fact("Dead letters") == "1"
    assert page.fact("not_json") == "1"
    assert page.fact(to_iso(START)) == "1 record", "the window of the late one"
    assert page.fact("State") == "calibrated"
    assert page.fact("Windows") == f"{HOURS} of 1 h"
    assert "Coverage of LF 'mentions_free' 25 % → 0 %" in page.text
    [settings] = page.texts("pre")
    assert "window: 1h" in settings
    assert "false_alarms: 1 per quarter" in settings
    assert "records.jsonl" not in settings, "sources stay out"


def test_pictures_mark_alerts_and_incidents(tmp_path: Path) -> None:
    page = reported(tmp_path)
    shown = pictures(page)
    assert len(shown) >= 6, "timeline, heat map and a series, each light and dark"
    [timeline, *_] = [p for p in shown if "mentions_free" in p]
    assert "event time (UTC)" in timeline, "the timeline comes first"
    of_series = [p for p in shown if "start of window" in p and "deviation" not in p]
    [_dark, light, *_] = of_series
    shades = light.count('fill="#b3430a"')
    assert shades >= len(BROKEN), "the windows in alarm are shaded"


def test_its_times_are_by_the_clock_of_the_stream(tmp_path: Path) -> None:
    page = reported(tmp_path, timezone="Europe/Berlin", calendar=["2020-12-24"])
    assert page.text.count("Times in Europe/Berlin.") == 1
    assert page.fact(words.moment(START, "Europe/Berlin")) == "1 record", "the late one"
    [settings] = page.texts("pre")
    assert "timezone: Europe/Berlin" in settings
    assert "2020-12-24" in settings
    until = page.fact("Until")
    assert until == words.moment(START + HOURS * HOUR, "Europe/Berlin")
    assert until.endswith("+02:00")
    shown = pictures(page)
    assert any("event time (Europe/Berlin)" in picture for picture in shown)
    assert not any("UTC" in picture for picture in shown)


def test_nothing_is_loaded_and_nothing_runs(tmp_path: Path) -> None:
    page = reported(tmp_path)
    assert not external(page.html)
    assert {a[:1] for a in page.addresses() if not a.startswith("data:")} == {"#"}
    assert not page.all("script")
    [policy] = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    [style] = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    found = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"default-src 'none'; img-src data:; style-src 'sha256-{found}'"
    assert policy.attributes["content"] == allowed


def test_hostile_names_are_shown_and_do_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hostile = reported(tmp_path, HOSTILE, HOSTILE)
    plain = reported(tmp_path_factory.mktemp("plain"))
    assert [e.tag for e in hostile.elements] == [e.tag for e in plain.elements]
    assert "<script>alert(1)</script>" in hostile.text, "as a text"
    assert "49" not in "".join(hostile.texts("h3"))
    assert not {"\u202e", "\x07"} & set(hostile.html)
    for picture in pictures(hostile):
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}  # noqa: S314
        assert tags <= DRAWN
        assert not external(unquote(picture))


@pytest.mark.parametrize("target", ["nowhere/out.html", "."])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, target: str
) -> None:
    write_jsonl(tmp_path / "records.jsonl", traffic("north"))
    stream = write_stream(tmp_path)
    done = tidegauge("replay", stream, "--report", target, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert f"cannot write a report to {target}" in " ".join(done.stderr.split())


def test_a_stream_that_never_reached_its_windows_has_a_report_too(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "records.jsonl", [record(n, "thanks") for n in range(20)])
    stream = write_stream(tmp_path)
    tidegauge("replay", stream, "--report", "out.html", cwd=tmp_path)
    page = Document((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert "No alert." in page.text
    assert not page.all("img")


def test_a_browser_shows_it(tmp_path: Path, chromium: Chromium) -> None:
    reported(tmp_path, HOSTILE)
    page = (tmp_path / "out.html").as_uri()
    picture = chromium.screenshot(page, tmp_path / "report.png", height=2_000)
    assert picture.stat().st_size > 50_000, "an empty page is smaller"
    assert "Series with alerts" in chromium.dump_dom(page)
