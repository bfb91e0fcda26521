"""What a workflow of Microsoft Teams gets."""

import json
from typing import Any

from tests.alerts.builders import context, fired, shifted
from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import say_yes, transport_to
from tests.alerts.limits import check_teams
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.transports import Delivered

(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")


def sent(hook: Hook, **changes: Any) -> Any:
    say_yes("teams", hook)
    body = {**MESSAGE.body, **changes}
    assert transport_to("teams", hook).deliver(body, MESSAGE.dedup_key) == Delivered()
    payload = json.loads(hook.requests[-1].body)
    check_teams(payload)
    return payload["attachments"][0]["content"]


def runs(card: Any) -> list[Any]:
    return [run for element in card["body"] for run in element["inlines"]]


def test_a_card_says_what_the_message_says(hook: Hook) -> None:
    card = sent(hook)
    said = [run["text"] for run in runs(card)]
    assert said[1] == MESSAGE.body["headline"]
    assert said[2] == f"• {MESSAGE.body['alerts'][0]['text']}"
    assert card["actions"][0]["url"] == "https://x.example/"


def test_a_message_that_ends_says_resolved_in_green(hook: Hook) -> None:
    first = runs(sent(hook, status="resolved"))[0]
    assert (first["text"], first["color"]) == ("Resolved: spam", "good")


def test_a_message_without_links_has_no_buttons(hook: Hook) -> None:
    assert sent(hook, links={})["actions"] == []


def test_the_query_of_the_url_is_its_signature_and_kept(hook: Hook) -> None:
    sent(hook)
    assert "?sig=" in hook.requests[0].path


def test_a_long_message_is_shortened_to_what_teams_takes(hook: Hook) -> None:
    alerts = [{"text": f"{n} " + "→" * 900, "severity": "critical"} for n in range(50)]
    said = [run["text"] for run in runs(sent(hook, alerts=alerts))]
    assert "• … and more: the message was shortened" in said
    assert said[2].startswith("• 0 ")
