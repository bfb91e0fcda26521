"""What PagerDuty gets, and that only 202 is its yes."""

import json
from typing import Any

import pytest

from tests.alerts.builders import context, fired, shifted
from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import SECRET, say_yes, transport_to
from tests.alerts.limits import check_pagerduty
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.transports import Delivered, Retry

(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")


def sent(hook: Hook, **changes: Any) -> Any:
    say_yes("pagerduty", hook)
    body = {**MESSAGE.body, **changes}
    assert transport_to("pagerduty", hook).deliver(body, MESSAGE.dedup_key) == Delivered()
    return json.loads(hook.requests[-1].body)


def test_an_event_says_what_the_message_says(hook: Hook) -> None:
    event = sent(hook)
    check_pagerduty(event)
    assert event["routing_key"] == SECRET
    assert event["event_action"] == "trigger"
    assert event["payload"]["summary"] == f"[spam] {MESSAGE.body['headline']}"
    assert event["payload"]["source"] == "spam"
    assert event["payload"]["custom_details"]["alerts"] == [MESSAGE.body["alerts"][0]["text"]]
    assert event["links"][0] == {"href": "https://x.example/", "text": "Overview"}


def test_a_resolve_closes_what_the_firing_opened(hook: Hook) -> None:
    opened, graver = sent(hook), sent(hook, headline="graver", candidates=9)
    closed = sent(hook, status="resolved", alerts=[], headline="other words")
    assert closed["event_action"] == "resolve"
    assert opened["dedup_key"] == graver["dedup_key"] == closed["dedup_key"]
    assert MESSAGE.body["incident"] in opened["dedup_key"]


def test_other_incidents_and_other_streams_have_other_keys(hook: Hook) -> None:
    other = sent(hook, incident="x", group_key="spam:x")
    assert other["dedup_key"] != sent(hook)["dedup_key"]


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_severities_are_pagerdutys(hook: Hook, severity: str) -> None:
    event = sent(hook, alerts=[{"severity": severity, "text": "x"}])
    assert event["payload"]["severity"] == severity
    assert sent(hook, alerts=[])["payload"]["severity"] == "info"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_other_2xx_is_not_from_pagerduty(hook: Hook, status: int) -> None:
    hook.answer(status)
    outcome = transport_to("pagerduty", hook).deliver(MESSAGE.body, MESSAGE.dedup_key)
    assert isinstance(outcome, Retry)
    assert "but PagerDuty accepts events with 202: check url" in outcome.why
