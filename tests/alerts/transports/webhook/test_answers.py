"""What each answer of a receiver means."""

import pytest

from tests.alerts.builders import NOON_MS
from tests.alerts.hooks import Hook, message_of, transport
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.http import retry_after_s


def outcome_of(hook: Hook, status: int, **headers: str) -> Outcome:
    hook.answer(status, b"", **headers)
    return transport(hook).deliver(message_of("x"), "key-1")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(hook: Hook, status: int) -> None:
    assert outcome_of(hook, status) == Delivered()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_a_busy_or_broken_receiver_is_tried_again(hook: Hook, status: int) -> None:
    outcome = outcome_of(hook, status)
    assert isinstance(outcome, Retry)
    assert outcome.after_s is None
    assert f"it responded {status}" in outcome.why


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 413, 422, 499])
def test_any_other_4xx_is_refused(hook: Hook, status: int) -> None:
    outcome = outcome_of(hook, status)
    assert isinstance(outcome, Refused)
    assert f"it responded {status}" in outcome.why


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_not_followed(hook: Hook, status: int) -> None:
    outcome = outcome_of(hook, status, Location=f"http://127.0.0.1:{hook.port}/elsewhere")
    assert isinstance(outcome, Refused)
    assert "redirects are not followed; set url to the final address" in outcome.why
    assert [request.path for request in hook.requests] == ["/hook"]


def test_the_reason_is_in_plain_words(hook: Hook) -> None:
    outcome = outcome_of(hook, 403)
    assert outcome == Refused(
        f"webhook 'ops' at http://127.0.0.1:{hook.port}: it responded 403 Forbidden: "
        "check url and secret"
    )


def test_an_address_that_is_not_there_may_come_back(hook: Hook) -> None:
    outcome = outcome_of(hook, 404)
    where = f"webhook 'ops' at http://127.0.0.1:{hook.port}"
    assert outcome == Retry(f"{where}: it responded 404 Not Found: check url", None)


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_is_honoured_in_seconds(hook: Hook, status: int) -> None:
    outcome = outcome_of(hook, status, Retry_After="120")
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 120


def test_retry_after_is_honoured_as_a_date(hook: Hook) -> None:
    outcome = outcome_of(hook, 503, Retry_After="Sun, 15 Mar 2020 12:01:30 GMT")
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 90


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 30 ", 30),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("Sun, 15 Mar 2020 11:00:00 GMT", 0),
        ("Mon, 16 Mar 2020 12:00:00 GMT", 3600),
        ("Sun, 15 Mar 2020 13:00:30 +0100", 30),
        ("Sunday, 15-Mar-20 12:00:30 GMT", 30),
        ("Sun, 15 Mar 2020 12:00:30 -0000", 30),
    ],
)
def test_retry_after_is_capped_and_never_negative(value: str, seconds: float) -> None:
    assert retry_after_s(value, NOON_MS / 1000) == seconds


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "١٢", "1e3", "Sun, 99 Mar 2020 12:00:30 GMT"]
)
def test_a_retry_after_that_makes_no_sense_is_ignored(value: str | None) -> None:
    assert retry_after_s(value, NOON_MS / 1000) is None


def test_a_long_answer_is_not_read(hook: Hook) -> None:
    hook.answer(200, b"x" * 50_000_000)
    assert transport(hook).deliver(message_of("x"), "key-1") == Delivered()


def test_the_receivers_words_are_not_repeated(hook: Hook) -> None:
    hook.answer(400, b"<script>evil</script>", X_Evil="evil")
    outcome = transport(hook).deliver(message_of("x"), "key-1")
    assert isinstance(outcome, Refused)
    assert "evil" not in outcome.why
