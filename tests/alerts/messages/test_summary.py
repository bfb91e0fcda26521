"""The words that all receivers share."""

from typing import Any

import pytest

from tests.alerts.bodies import bodies
from tests.alerts.builders import COVERAGE, context, fired, shifted
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.messages.summary import SummaryLink, Urgency, summary_of


def body(**changes: Any) -> dict[str, Any]:
    (message,) = messages_of(fired(shifted()), Rule(), context(), 1_234, "https://x.example")
    return {**message.body, **changes}


def test_a_summary_says_what_a_body_says() -> None:
    summary = summary_of(body())
    assert summary.title == f"[spam] {summary.word}: {body()['headline']}"
    assert summary.headline == body()["headline"]
    assert summary.lines == (body()["alerts"][0]["text"],)
    assert summary.urgency == body()["alerts"][0]["severity"]
    assert summary.key == body()["group_key"]
    assert not summary.over
    assert summary.facts == (
        ("Stream", "spam"),
        ("Window", "2020-03-15T12:00:00Z to 2020-03-15T13:00:00Z"),
        ("Candidates", "1,234 records are waiting to be labeled"),
    )
    assert summary.links[0] == SummaryLink("Overview", "https://x.example/")
    assert [link.text for link in summary.links] == ["Overview", "Alerts", "Candidates"]


def test_a_message_that_ends_says_so() -> None:
    over = summary_of(body(status="resolved"))
    assert (over.word, over.over) == ("Resolved", True)
    assert over.key == summary_of(body()).key
    settled = summary_of(body(event="settled"))
    assert (settled.word, settled.over) == ("Settled", False)


@pytest.mark.parametrize(
    ("severities", "urgency"),
    [
        (["warning", "critical"], Urgency.CRITICAL),
        (["warning", "warning"], Urgency.WARNING),
        (["other"], Urgency.INFO),
        ([], Urgency.INFO),
    ],
)
def test_the_gravest_alert_decides(severities: list[str], urgency: Urgency) -> None:
    alerts = [{"severity": severity, "text": "x"} for severity in severities]
    assert summary_of(body(alerts=alerts)).urgency is urgency


def test_a_severity_of_the_body_counts_too() -> None:
    assert summary_of(body(alerts=[], severity="critical")).urgency is Urgency.CRITICAL


def test_every_notice_has_words_and_an_urgency() -> None:
    found = {}
    for one in bodies("spam", COVERAGE):
        summary = summary_of(one)
        assert summary.headline
        assert summary.text.startswith(f"{summary.word}: {summary.headline}")
        found[summary.event] = summary.urgency
    assert found["stream_blind"] is found["data_gap"] is Urgency.CRITICAL
    assert found["watermark_stale"] is found["late_records"] is Urgency.CRITICAL
    assert found["probe_broken"] is Urgency.CRITICAL
    assert found["training_skew"] is found["assumed_normal"] is Urgency.INFO


def test_skewed_series_are_lines_and_the_rest_is_counted() -> None:
    (skew,) = (one for one in bodies("spam", COVERAGE) if one["event"] == "training_skew")
    summary = summary_of(skew)
    assert len(summary.lines) == 51
    assert summary.lines[0].startswith("Coverage of LF 'check_out' 5 % of the training data")
    assert summary.lines[-1] == "and 10 more"


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "ftp://x.example/", "https:///x", "x", "", "https://[x", "x" * 2_000],
)
def test_a_link_that_is_not_one_of_the_web_is_left_out(href: str) -> None:
    assert summary_of(body(links={"page": href})).links == ()


def test_a_link_cannot_break_out_of_what_it_is_written_in() -> None:
    (link,) = summary_of(body(links={"run_book": "https://x.example/<a|b>\"' é"})).links
    assert link == SummaryLink("Run book", "https://x.example/%3Ca%7Cb%3E%22%27%20%C3%A9")


def test_a_body_may_lack_everything() -> None:
    assert summary_of({}).title == "[] Info: "
