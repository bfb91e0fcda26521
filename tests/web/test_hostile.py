"""Names come from records: they are shown as text, and never become anything else."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from tests.web.document import Document
from tests.web.site_for_tests import Site, finding, lf
from tidegauge_probes.findings import SeriesKind

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "{{ 7 * 7 }}{% raw %}",
    "a&b=c#d?e/f%41+g, h",
    "\u202egnp.exe\u2066",
    "\x1b[2J\x07\x01",
    "\ufffe\uffff",
    "\u2028line\r\nbreak",
    "x" * 180,
    "x" * 38 + "\U0001f600" * 20,
    "\U0001f469\u200d\U0001f467" * 30,
)
DRAWN = ("svg", "g", "path", "text", "tspan", "line", "rect", "defs", "linearGradient", "stop")
INVISIBLE = {*"\u202e\u2066\x1b\x07\x01\ufffe\uffff\u2028\r\u200d"}


@pytest.fixture(params=HOSTILE, ids=ascii)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def attack(site: Site, name: str) -> str:
    """Make a stream whose LF and segment have this name; return the segment."""
    segment = f"country={name}"
    row = site.stream(probes=(name, "short"))
    for number in range(3):
        site.window(
            row,
            number,
            finding(number, 0.5, probe=name),
            finding(number, 0.5, probe=name, segment=segment),
            finding(number, 0.5, segment=segment, kind=SeriesKind.BLIND_SPOT),
        )
    site.judged(row, 2, lf(name))
    return segment


def tags_of(page: Document) -> list[str]:
    return [e.tag for e in page.elements]


def test_names_add_no_element(
    site: Site, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Site(tmp_path_factory.mktemp("plain"))
    plain = attack(other, "plain")
    segment = attack(site, name)
    for mine, theirs in (("/", "/"), (at(segment), at(plain))):
        found, expected = site.get(mine), other.get(theirs)
        assert sorted(tags_of(found)) == sorted(tags_of(expected))
        attributes = {(e.tag, a) for e in found.elements for a in e.attributes}
        assert attributes == {(e.tag, a) for e in expected.elements for a in e.attributes}
    other.client.close()
    other.database.close()


def at(segment: str) -> str:
    return f"/?segment={quote(segment, safe='')}"


def test_nothing_invisible_reaches_the_page(site: Site, name: str) -> None:
    segment = attack(site, name)
    for path in ("/", at(segment)):
        assert not INVISIBLE & set(site.get(path).html)


def test_addresses_carry_the_name_exactly(site: Site, name: str) -> None:
    segment = attack(site, name)
    page = site.get(at(segment))
    light, dark = page.all("img")[0].attributes["src"], page.all("source")[0].attributes["srcset"]
    for address in (light, dark):
        assert parse_qs(urlsplit(address).query)["segment"] == [segment]
        assert not set(address) & set(" ,\"'<>")


def test_pictures_show_the_name_as_text(site: Site, name: str) -> None:
    segment = attack(site, name)
    for address in [e.attributes["src"] for e in site.get(at(segment)).all("img")]:
        answer = site.client.get(address)
        assert answer.status_code == 200
        assert not INVISIBLE & set(answer.text)
        tags = {e.tag for e in ET.fromstring(answer.text).iter()}  # noqa: S314  (our own)
        assert tags <= {f"{{http://www.w3.org/2000/svg}}{tag}" for tag in DRAWN}


def test_an_alerts_series_is_found_by_its_address(site: Site, name: str) -> None:
    attack(site, name)
    sources = [e.attributes["src"] for e in site.get().all("img")]
    series = [s for s in sources if s.startswith("/charts/series.svg")]
    assert len(series) == 3
    pictures = {site.client.get(address).text for address in series}
    assert all("stroke-dasharray" in p for p in pictures)


@pytest.mark.parametrize("path", ["/", "/charts/heatmap.svg", "/charts/series.svg"])
@pytest.mark.parametrize("segment", ["%00", "%ff%fe", "%ed%a0%80", "%", "x" * 5_000])
def test_any_query_is_answered(site: Site, path: str, segment: str) -> None:
    attack(site, "plain")
    answer = site.client.get(f"{path}?stream=spam&series=coverage&probe=a&segment={segment}")
    assert answer.status_code == 200
