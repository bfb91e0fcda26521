"""Names come from records and configuration: nothing in a message may be forged by one."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings

from tests.alerts.builders import context, fired, shifted
from tests.alerts.strategies import keys, names
from tidegauge_alerts import Rule, messages_of
from tidegauge_probes.findings import SeriesKey, SeriesKind

HOSTILE = "\r\n\x00\x1b]0;owned\x07\u202e\u200b\ud800'\"<script>" + "z" * 10_000


def texts(value: Any) -> Iterator[str]:
    """Yield every string of JSON data, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def body_for(key: SeriesKey, stream: str = "spam") -> Any:
    (message,) = messages_of(
        fired(shifted(key=key)), Rule(), context(stream=stream), 1, "https://x.example"
    )
    return message.body


def test_every_text_is_printable_and_short() -> None:
    key = SeriesKey(SeriesKind.POLARITY, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    for text in texts(body_for(key, "spam")):
        assert text.isprintable(), text
        assert len(text) < 1000


def test_a_name_keeps_what_can_be_shown() -> None:
    body = body_for(SeriesKey(SeriesKind.COVERAGE, "party=D\n", "naïve_日本"))
    (alert,) = body["alerts"]
    assert (alert["probe"], alert["segment"]) == ("naïve_日本", "party=D ")


def test_names_too_long_to_show_still_are_different_alerts() -> None:
    long = "z" * 500
    one, two = (SeriesKey(SeriesKind.COVERAGE, probe=long + end) for end in "ab")
    body = messages_of(fired(shifted(key=one), shifted(key=two)), Rule(), context())[0].body
    assert len({alert["probe"] for alert in body["alerts"]}) == 1
    assert len({alert["fingerprint"] for alert in body["alerts"]}) == 2


@settings(max_examples=50)
@given(keys, names)
def test_any_names_give_a_message_that_can_be_sent(key: SeriesKey, stream: str) -> None:
    body = body_for(key, stream)
    assert all(text.isprintable() for text in texts(body))
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
