"""What is secret is never shown: not in a repr, a text, an error or a log."""

import logging
import traceback
from dataclasses import replace

import pytest

from tests.alerts.hooks import Hook, message_of, transport
from tidegauge_alerts import ReceiverError, WebhookReceiver, parse_receivers
from tidegauge_alerts.transports import Refused, Retry

SECRET, TOKEN = "s3cr3t-key", "t0ken-in-path"


def test_repr_and_str_show_the_host_only() -> None:
    url = f"https://hooks.example.com:8443/{TOKEN}?key={TOKEN}#x"
    receiver = WebhookReceiver("ops", url, SECRET)
    for shown in (repr(receiver), str(receiver), f"{receiver}", repr([receiver])):
        assert "https://hooks.example.com:8443/…" in shown
        assert "secret='***'" in shown
        assert SECRET not in shown
        assert TOKEN not in shown


def test_repr_tells_whether_there_is_a_secret() -> None:
    assert "secret=None" in repr(WebhookReceiver("ops", "https://hooks.example.com/"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": f"ftp://hooks.example.com/{TOKEN}"},
        {"url": f"https://{TOKEN}@hooks.example.com/"},
        {"url": f"https://hooks.example.com/{TOKEN}\x00"},
        {"timeout_s": -1},
        {"allow_private": "no"},
        {"urll": "x"},
    ],
)
def test_errors_of_settings_do_not_repeat_it(wrong: dict[str, object]) -> None:
    config = {
        "kind": "webhook",
        "url": f"https://hooks.example.com/{TOKEN}",
        "secret": SECRET,
        **wrong,
    }
    with pytest.raises(ReceiverError) as caught:
        parse_receivers({"ops": config})
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert TOKEN not in shown


def test_nothing_is_logged_at_any_level(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sender = transport(hook, path=f"/{TOKEN}?key={TOKEN}", secret=SECRET)
    for status in (200, 302, 400, 429, 500):
        hook.answer(status)
        outcome = sender.deliver(message_of("x"), "key-1")
        assert TOKEN not in repr(outcome)
        assert SECRET not in repr(outcome)
    assert len(hook.requests) == 5
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


def test_errors_of_the_network_do_not_repeat_it(hook: Hook) -> None:
    hook.close()
    outcome = transport(hook, path=f"/{TOKEN}", secret=SECRET).deliver(message_of("x"), "key-1")
    assert isinstance(outcome, Retry)
    refused = transport(hook, path=f"/{TOKEN}", secret=SECRET, allow_private=False)
    also = refused.deliver(message_of("x"), "key-1")
    assert isinstance(also, Refused)
    for shown in (repr(outcome), repr(also), repr(refused)):
        assert TOKEN not in shown
        assert SECRET not in shown


def test_a_copy_is_as_discreet() -> None:
    receiver = WebhookReceiver("ops", f"https://hooks.example.com/{TOKEN}", SECRET)
    assert TOKEN not in repr(replace(receiver, timeout_s=3.0))
