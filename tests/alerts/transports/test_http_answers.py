"""What every receiver over HTTP has in common, whatever its service answers."""

import logging
import socket
from typing import Any

import pytest

from tests.alerts.builders import context, fired, shifted
from tests.alerts.hooks import Hook
from tests.alerts.http_receivers import KINDS, SECRET, receiver, say_yes, transport_to
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry, transport_for

(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")

pytestmark = pytest.mark.parametrize("kind", KINDS)


def deliver(kind: str, hook: Hook, **changes: Any) -> Outcome:
    return transport_to(kind, hook, **changes).deliver(MESSAGE.body, MESSAGE.dedup_key)


def test_its_yes_is_delivered(kind: str, hook: Hook) -> None:
    say_yes(kind, hook)
    assert deliver(kind, hook) == Delivered()
    (request,) = hook.requests
    assert request.method == "POST"
    assert request.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("status", [404, 408, 429, 500, 503])
def test_busy_or_broken_is_tried_again_after_the_time_it_asks_for(
    kind: str, hook: Hook, status: int
) -> None:
    hook.answer(status, b"evil", Retry_After="120")
    outcome = deliver(kind, hook)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 120
    assert f"it responded {status}" in outcome.why
    assert "evil" not in outcome.why


@pytest.mark.parametrize("status", [400, 401, 403, 410])
def test_any_other_4xx_is_refused(kind: str, hook: Hook, status: int) -> None:
    hook.answer(status, b"evil")
    outcome = deliver(kind, hook)
    assert isinstance(outcome, Refused)
    assert f"it responded {status}" in outcome.why
    assert "evil" not in outcome.why


def test_a_redirect_is_refused_and_not_followed(kind: str, hook: Hook) -> None:
    hook.answer(307, Location=f"http://127.0.0.1:{hook.port}/elsewhere")
    outcome = deliver(kind, hook)
    assert isinstance(outcome, Refused)
    assert "redirects are not followed" in outcome.why
    assert len(hook.requests) == 1


def test_a_private_address_is_refused_by_default(kind: str, hook: Hook) -> None:
    outcome = deliver(kind, hook, allow_private=False)
    assert isinstance(outcome, Refused)
    assert "its address 127.0.0.1 is private" in outcome.why
    assert hook.requests == []


def test_a_hundred_megabytes_are_not_read(kind: str, hook: Hook) -> None:
    hook.answer(429, b"x" * 100_000_000)
    assert isinstance(deliver(kind, hook), Retry)


def test_a_receiver_that_hangs_is_tried_again(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = receiver(kind, silent.getsockname()[1], timeout_s=0.2)
        outcome = transport_for(target, lambda: 0).deliver(MESSAGE.body, MESSAGE.dedup_key)
    assert isinstance(outcome, Retry)
    assert "no answer within 0.2 s" in outcome.why


def test_a_server_that_is_away_is_tried_again(kind: str, hook: Hook) -> None:
    hook.close()
    outcome = deliver(kind, hook)
    assert isinstance(outcome, Retry)
    assert "refused" in outcome.why.lower()


def test_no_secret_is_shown(kind: str, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = receiver(kind, hook.port)
    shown = [repr(target), str(target), target.where, repr(transport_to(kind, hook))]
    for status in (200, 302, 400, 404, 429, 500):
        hook.answer(status, SECRET.encode())
        shown.append(repr(deliver(kind, hook)))
    hook.close()
    shown.append(repr(deliver(kind, hook)))
    shown.append(repr(deliver(kind, hook, allow_private=False)))
    assert SECRET not in "".join(shown)
    assert SECRET not in caplog.text
    assert f"127.0.0.1:{hook.port}" in repr(target)
