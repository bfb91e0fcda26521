from __future__ import annotations

import re

import pytest

from tests.service.streams_for_tests import HOUR, START
from tests.web.document import Document
from tests.web.site_for_tests import NOW, Site, drifting, finding
from tidegauge_probes.findings import SeriesKind, Verdict
from tidegauge_service.clock import to_iso
from tidegauge_service.store import candidates
from tidegauge_service.store.candidates import Candidate, CandidateReason
from tidegauge_service.store.states import WindowState
from tidegauge_service.web import words


def state(page: Document) -> str:
    return page.texts("span", "state")[0]


# -- Empty states ---------------------------------------------------------------------------------


def test_without_streams_it_says_how_to_begin(site: Site) -> None:
    page = site.get()
    assert state(page) == "nothing compared yet"
    assert "tidegauge run stream.yaml" in page.text
    assert "tidegauge demo" in page.text
    assert page.texts("h2") == ["Streams"]


def test_a_stream_without_partitions_says_what_to_check(site: Site) -> None:
    site.stream(partitions=0)
    page = site.get()
    assert "waiting for its source" in page.text
    assert "tidegauge doctor" in page.text


def test_a_stream_without_windows_says_when_the_first_closes(site: Site) -> None:
    site.stream()
    page = site.get()
    assert "reading, waiting for the first window" in page.text
    assert "A window of 1 h closes when event time has passed its end by 10 min." in page.text
    assert "No figures here." in page.text
    assert "No open alert." in page.text
    assert page.fact("Windows evaluated") == "0, 1 h each"
    assert page.fact("Baseline") == "not frozen yet"
    assert page.fact("Not read yet") == "unknown"


@pytest.mark.parametrize(
    ("phase", "words", "light"),
    [
        ("before", "counting, before its baseline", "nothing compared yet"),
        ("baseline", "learning its baseline", "nothing compared yet"),
        ("learning", "comparing with a short baseline", "no open alert"),
        ("compared", "comparing with its baseline", "no open alert"),
    ],
)
def test_the_phase_is_that_of_the_last_window(
    site: Site, phase: str, words: str, light: str
) -> None:
    site.window(site.stream(), 0, state=WindowState(phase))
    page = site.get()
    assert f"reading, {words}" in page.text
    assert state(page) == light


def test_an_unknown_stream_is_said_to_be_so(site: Site) -> None:
    site.stream()
    answer = site.client.get("/?stream=ham")
    assert answer.status_code == 404
    page = Document(answer.text)
    assert "There is no stream with that name." in page.text
    assert page.texts("h3") == ["spam"]


# -- A quiet stream -------------------------------------------------------------------------------


def test_a_quiet_stream_shows_its_figures_and_no_alert(site: Site) -> None:
    row = site.stream()
    for number in range(3):
        site.window(row, number, finding(number), finding(number, kind=SeriesKind.BLIND_SPOT))
    page = site.get()
    assert state(page) == "no open alert"
    assert page.texts("title") == ["no open alert – tidegauge"]
    assert "No open alert." in page.text
    assert page.fact("Windows evaluated") == "3, 1 h each"
    assert page.fact("Last window") == f"{to_iso(START + 2 * HOUR)}, 1,000 records"
    assert not page.all("li", "alert")
    assert f"Made at {to_iso(NOW)}" in page.text


def test_the_table_holds_the_last_windows_figures(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0, 0.5))
    site.window(
        row,
        1,
        finding(1, 0.081),
        finding(1, 0.24, kind=SeriesKind.BLIND_SPOT),
        finding(1, 0.3, probe="short", verdict=Verdict.LOW_VOLUME),
    )
    table = site.get().all("table")[0]
    rows = site.get().texts("tr")[1:]
    assert rows[0] == "(blind spot)24 %240 of 1,0008 %5–11 %+8.9shifted"
    assert rows[1] == "check_out8.1 %81 of 1,0008 %5–11 %+0.7as at baseline"
    assert rows[2] == "short30 %300 of 1,0008 %5–11 %–too few to tell"
    assert to_iso(START + HOUR) in table.text


def test_an_lf_without_data_is_no_zero(site: Site) -> None:
    site.window(site.stream(), 0, finding(0))
    rows = site.get().texts("tr")[1:]
    assert rows[2] == "short–0 of 0–––no data"


# -- A drifting stream ----------------------------------------------------------------------------


def test_alerts_are_listed_strongest_first(site: Site) -> None:
    drifting(site)
    page = site.get()
    assert state(page) == "3 alerts firing, 3 critical"
    assert [h for h in page.texts("h3") if h != "spam"] == [
        "Coverage of LF 'check_out' 8 % → 50 % in segment party=D (expected 5–11 %)",
        "Blind spot 8 % → 24 % of records (expected 5–11 %)",
        "Coverage of LF 'check_out' 8 % → 0.4 % (expected 5–11 %)",
    ]
    first = page.all("li", "alert")[0]
    assert "firing, critical" in first.text
    assert "suspicious activity" in first.text
    assert page.fact("Since") == to_iso(START + 4 * HOUR)
    assert page.fact("Segment") == "party=D"
    assert page.fact("Observed in the last shifted window") == "50 % (500 of 1,000)"
    assert page.fact("Shifted windows") == "2"


def test_a_settled_alert_says_at_which_level_it_is(site: Site) -> None:
    row = site.stream()
    for number in range(64):
        site.window(row, number, finding(number, 0.2, verdict=Verdict.SHIFTED))
    page = site.get()
    assert state(page) == "1 alert settled"
    (alert,) = page.all("li", "alert")
    assert "settled, critical" in alert.text
    assert "Coverage of LF 'check_out' has settled at 20 %, where the baseline expects 8 %" in (
        page.text
    )


def test_a_reopened_alert_says_how_often(site: Site) -> None:
    row = site.stream()
    for number, rate in enumerate([0.004, *[0.08] * 8, 0.004]):
        verdict = Verdict.SHIFTED if rate < 0.08 else Verdict.OK
        site.window(row, number, finding(number, rate, verdict=verdict))
    page = site.get()
    assert len(page.all("li", "alert")) == 1
    assert page.fact("Reopened") == "1 time"
    assert page.fact("Since") == to_iso(START)


def test_resolved_alerts_are_listed_apart(site: Site) -> None:
    row = drifting(site)
    for number in range(6, 16):
        quiet = [finding(number, kind=SeriesKind.BLIND_SPOT), finding(number)]
        site.window(row, number, *quiet, finding(number, segment="party=D"))
    page = site.get()
    assert state(page) == "no open alert"
    assert page.texts("h2")[-2:] == ["Recently resolved", "Deployments"]
    assert len(page.all("li", "resolved")) == 3
    assert page.fact("Resolved") > to_iso(START + 6 * HOUR)


def test_more_alerts_than_fit_are_counted(site: Site) -> None:
    names = [f"lf{n}" for n in range(60)]
    row = site.stream(probes=names)
    site.window(row, 0, *(finding(0, 0.5, probe=name) for name in names))
    page = site.get()
    assert len(page.all("li", "alert")) == 50
    assert "10 more open alerts" in page.text
    assert len(page.all("li", "pictured")) == 6
    assert "10 LFs that moved less are in the table only" in page.text


def test_the_stream_with_alerts_is_shown_unless_another_is_asked_for(site: Site) -> None:
    site.stream(name="aaa")
    drifting(site)
    assert "What moved in spam: all records" in site.get().texts("h2")
    assert "What moved in aaa: all records" in site.get("/?stream=aaa").texts("h2")
    [chosen] = site.get("/?stream=aaa").all("a", **{"aria-current": "page"})
    assert chosen.text == "aaa"


def test_segments_lead_to_their_heat_map(site: Site) -> None:
    drifting(site)
    [link] = [a for a in site.get().all("a") if a.text == "party=D (1 shifted)"]
    assert link.attributes["href"] == "/?stream=spam&segment=party%3DD#map"
    page = site.get(link.attributes["href"])
    assert "What moved in spam: party=D" in page.texts("h2")
    assert page.texts("tr")[2].startswith("check_out50 %")
    assert any("segment=party%3DD" in e.attributes["src"] for e in page.all("img"))


def test_a_segment_without_figures_is_an_empty_state(site: Site) -> None:
    drifting(site)
    assert "No figures here." in site.get("/?segment=party%3DX").text


# -- Links ----------------------------------------------------------------------------------------


def test_everything_has_its_json_address(site: Site) -> None:
    drifting(site)
    found = site.get().addresses()
    for wanted in (
        "/api/v1/streams",
        "/api/v1/streams/spam",
        "/api/v1/streams/spam/windows?segment=_all",
        "/api/v1/alerts?stream=spam",
        "/api/v1/candidates?stream=spam",
        "/api/v1/candidates?stream=spam&format=ndjson",
        "/api/v1/candidates?stream=spam&format=csv",
        "/api/v1/candidates?stream=spam&format=parquet",
    ):
        assert wanted in found
    assert sum(a.startswith("/api/v1/alerts/") for a in found) == 3
    assert sum(a.startswith("/api/v1/candidates?alert=") for a in found) == 3


def test_waiting_candidates_are_counted(site: Site) -> None:
    row = drifting(site)
    reason = CandidateReason("blind_spot", "a", 0.5)
    made = [
        Candidate(f"c{n}", "spam", START, 0, n, "r", START, {}, {}, (), state, "p", "b", (reason,))
        for n, state in enumerate(["proposed", "proposed", "labeled"])
    ]
    with site.database.write() as connection:
        candidates.propose(connection, row.id, made, NOW)
    assert site.get().fact("Candidates waiting") == "2"


# -- For everyone ---------------------------------------------------------------------------------


def test_it_is_semantic(site: Site) -> None:
    drifting(site)
    page = site.get()
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("title", "h1", "header", "main", "footer")] == [1] * 5
    assert page.all("meta", name="viewport")
    assert all(e.attributes["alt"] for e in page.all("img"))
    assert all(page.texts("caption"))
    assert {e.attributes["scope"] for e in page.all("th")} == {"col", "row"}
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    labels = {e.attributes["aria-labelledby"] for e in page.all("section")}
    assert labels <= set(ids)


def test_what_scrolls_can_be_reached_by_keyboard(site: Site) -> None:
    drifting(site)
    scrolling = site.get().all("div", "scroll")
    assert len(scrolling) == 6
    for element in scrolling:
        assert element.attributes["tabindex"] == "0"
        assert element.attributes["role"] == "region"
        assert element.attributes["aria-label"]


def test_the_picture_is_said_in_words(site: Site) -> None:
    drifting(site)
    text = site.get().all("img")[0].attributes["alt"]
    assert "3 rows by 6 windows: 4 shifted cells" in text
    assert "the largest deviation is +8.9" in text


# -- Local time -----------------------------------------------------------------------------------


def test_a_page_tells_all_times_of_a_stream_by_its_clock_and_says_so_once(site: Site) -> None:
    drifting(site, timezone="Europe/Berlin")
    page = site.get()
    assert page.text.count("Europe/Berlin") == 1
    assert page.fact("Times") == "in Europe/Berlin"
    opened = words.moment(START + 4 * HOUR, "Europe/Berlin")
    assert opened.endswith("+02:00")
    assert page.fact("Since") == opened
    assert (
        f"Figures of the last window, {words.moment(START + 5 * HOUR, 'Europe/Berlin')}"
        in page.text
    )
    stream_times = page.text.replace(to_iso(NOW), "")  # the page is of many streams
    assert "Z" not in "".join(re.findall(r"\d\dT\d\d:\d\d:\d\dZ?", stream_times))
    chart = site.client.get("/charts/heatmap.svg?stream=spam").text
    assert "Europe/Berlin" in chart
