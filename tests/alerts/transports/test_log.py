from structlog.testing import capture_logs

from tests.alerts.builders import context, fired, quiet, run, shifted
from tidegauge_alerts import LogReceiver, Rule, messages_of
from tidegauge_alerts.transports import Delivered, LogTransport


def test_a_firing_message_is_one_warning() -> None:
    (message,) = messages_of(fired(shifted()), Rule(), context())
    with capture_logs() as lines:
        outcome = LogTransport(LogReceiver("log")).deliver(message.body, message.dedup_key)
    assert outcome == Delivered()
    assert lines == [
        {
            "event": "notification",
            "log_level": "warning",
            "receiver": "log",
            "status": "firing",
            "stream": "spam",
            "headline": "Coverage of LF 'check_out' 8 % → 0.4 % (expected 6.4–9.6 %)",
            "alerts": 1,
            "dedup_key": message.dedup_key,
        }
    ]


def test_a_resolved_message_is_one_information() -> None:
    history = run([shifted(), *[quiet()] * 4])
    (message,) = messages_of(history.steps[-1], Rule(), context(4))
    with capture_logs() as lines:
        LogTransport(LogReceiver("log")).deliver(message.body, message.dedup_key)
    assert [(line["log_level"], line["status"]) for line in lines] == [("info", "resolved")]


def test_alerts_left_out_of_the_message_are_counted() -> None:
    with capture_logs() as lines:
        LogTransport(LogReceiver("log")).deliver({"alerts": [{}] * 50, "truncated": 20}, "k")
    assert lines[0]["alerts"] == 70


def test_a_message_of_another_version_is_logged_as_well_as_can_be() -> None:
    with capture_logs() as lines:
        assert LogTransport(LogReceiver("log")).deliver({}, "k") == Delivered()
    assert lines[0]["headline"] is None
