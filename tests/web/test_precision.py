"""What the page, the API and Prometheus are told of how right the LFs are."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.service.streams_for_tests import HOUR, START
from tests.web.site_for_tests import BASELINE, Site, finding, lf
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.clock import to_iso


def precision_rows(site: Site) -> list[str]:
    return [row for row in site.get().texts("tr") if "SPAM" in row]


# -- The page -------------------------------------------------------------------------------------


def test_those_that_changed_come_first(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, lf("check_out", 0.81), lf("short", 0.5, changed=True))
    assert precision_rows(site) == [
        "shortSPAM90 %80 %50 %45–55 %changed",
        "check_outSPAM90 %80 %81 %76–86 %as at baseline",
    ]
    page = site.get()
    assert page.fact("Share of SPAM") == "20 % (40 % at baseline)"
    assert "2 votes, 1 changed, from 3,000 records of the last 3 windows" in page.text
    [section] = [d for d in page.all("details") if "2 votes" in d.text]
    assert "open" in section.attributes
    assert "fools every LF alike cannot be seen without gold labels" in page.text


def test_too_little_is_no_zero(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, lf("short", None), windows=0)
    assert precision_rows(site) == ["shortSPAM90 %80 %too little known–too little known"]
    assert site.get().fact("Share of SPAM") == "too little known (40 % at baseline)"
    assert "Too few records so far" in site.get().text


def test_without_a_label_model_it_says_what_is_missing(site: Site) -> None:
    site.window(site.stream(), 0, finding(0))
    assert "the baseline has no label model" in site.get().text


def test_old_figures_are_not_shown_as_those_of_the_last_window(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, lf("short"))
    assert precision_rows(site)
    site.window(row, 1, finding(1))
    assert not precision_rows(site)


# -- The API and Prometheus -----------------------------------------------------------------------


def test_windows_come_in_pages(site: Site, client: TestClient) -> None:
    row = site.stream()
    for number in range(3):
        site.judged(row, number, lf("short", None if number else 0.5))
    first = client.get("/api/v1/streams/spam/precision?limit=2").json()
    rest = client.get(f"/api/v1/streams/spam/precision?limit=2&cursor={first['next']}").json()
    assert rest["next"] is None
    items = [*first["items"], *rest["items"]]
    assert [item["start"] for item in items] == [to_iso(START + n * HOUR) for n in range(3)]
    assert items[0] == {
        "start": to_iso(START),
        "end": to_iso(START + HOUR),
        "baseline": BASELINE,
        "windows": 3,
        "records": 3_000,
        "shares": [{"label": "SPAM", "baseline": 0.4, "share": 0.2}],
        "lfs": [
            {
                "probe": "short",
                "label": "SPAM",
                "baseline": 0.9,
                "expected": 0.8,
                "precision": 0.5,
                "low": 0.45,
                "high": 0.55,
                "changed": False,
                "judged": False,
            }
        ],
        "accuracy": None,
        "kind": "full",
        "labels": 0,
        "withheld": "",
    }
    assert items[1]["lfs"][0]["precision"] is None
    until = client.get(f"/api/v1/streams/spam/precision?until={to_iso(START + HOUR)}").json()
    assert until == {"items": items[:1], "next": None}


def test_the_accuracy_of_the_model_is_told_where_it_is_known(
    site: Site, client: TestClient
) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    found = {"baseline": 0.9, "value": 0.8, "low": 0.75, "high": 0.85, "effective": 400.0}
    site.judged(row, 0, lf("short"), accuracy=Accuracy(**found))
    [item] = client.get("/api/v1/streams/spam/precision").json()["items"]
    assert item["accuracy"] == found
    assert "80 % (75–85 %; 90 % on the gold records)" in site.get().text
    told = client.get("/metrics").text.splitlines()
    assert 'tidegauge_model_accuracy_ratio{stream="spam"} 0.8' in told
    assert 'tidegauge_model_accuracy_high_ratio{stream="spam"} 0.85' in told


def test_an_unknown_stream_is_said_to_be_so(client: TestClient) -> None:
    answer = client.get("/api/v1/streams/none/precision")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_stream")


def test_prometheus_gets_what_is_known_of_the_last_window(site: Site, client: TestClient) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, lf("check_out", None), lf("short", 0.5))
    told = client.get("/metrics").text.splitlines()
    assert 'tidegauge_class_prior_ratio{label="SPAM",stream="spam"} 0.2' in told
    assert 'tidegauge_lf_precision_ratio{label="SPAM",probe="short",stream="spam"} 0.5' in told
    assert 'tidegauge_lf_precision_low_ratio{label="SPAM",probe="short",stream="spam"} 0.45' in told
    assert not [s for s in told if s.startswith("tidegauge_lf_precision_ratio") and "check_" in s]
