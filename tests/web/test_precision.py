"""What the page, the API and Prometheus are told of how right the LFs are."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.service.streams_for_tests import HOUR, START
from tests.web.site_for_tests import BASELINE, Site, finding, lf
from tidegauge_probes.label_model import LabelModelKind
from tidegauge_probes.label_model.accuracy import Accuracy
from tidegauge_service.baselines.identification import MAJORITY, VOTES
from tidegauge_service.clock import to_iso
from tidegauge_service.store.windows.precision import LfPrecision


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
    said = "2 LF–class combinations, 1 of them changed, from 3,000 records of the last 3 windows"
    assert said in page.text
    [section] = [d for d in page.all("details") if "2 LF–class combinations" in d.text]
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


def test_of_votes_alone_only_changes_are_shown(site: Site, client: TestClient) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    nothing = (None, None, None, None, None)
    lfs = (
        LfPrecision("short", "SPAM", *nothing, changed=False, judged=True),
        LfPrecision("rare", "SPAM", *nothing, changed=False),
        LfPrecision("check_out", "SPAM", *nothing, changed=True, judged=True),
    )
    site.judged(row, 0, *lfs, kind=LabelModelKind.VOTES, withheld=VOTES)
    assert precision_rows(site) == [
        "check_outSPAMchanged",
        "shortSPAMas at baseline",
        "rareSPAMtoo little known",
    ]
    text = site.get().text
    assert "Not identified: how often these LFs stay silent does not follow the classes" in text
    assert "Add gold labels: label about 200 records" in text
    assert "Share of SPAM" not in text
    assert "Changes of 3 LF–class combinations, 1 of them changed" in text
    told = client.get("/metrics").text
    assert "tidegauge_class_prior_ratio{" not in told
    assert "tidegauge_lf_precision_ratio{" not in told
    [item] = client.get("/api/v1/streams/spam/precision").json()["items"]
    assert (item["kind"], item["shares"], item["withheld"]) == ("votes", [], VOTES)
    assert [lf["judged"] for lf in item["lfs"]] == [True, False, True]


def test_of_a_majority_nothing_is_shown(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, kind=LabelModelKind.MAJORITY, withheld=MAJORITY)
    page = site.get()
    assert "the LFs agree too little to tell the classes apart" in page.text
    assert not precision_rows(site)
    assert "Share of SPAM" not in page.text


def test_gold_labels_are_named(site: Site) -> None:
    row = site.stream()
    site.window(row, 0, finding(0))
    site.judged(row, 0, lf("short"), kind=LabelModelKind.MAJORITY, labels=250)
    text = site.get().text
    assert "From 250 gold labels" in text
    assert "Estimated without labels" not in text
    assert "Precision of 1 LF–class combination" in text


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
