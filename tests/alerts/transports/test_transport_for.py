from tidegauge_alerts import LogReceiver, WebhookReceiver, parse_receivers
from tidegauge_alerts.transports import LogTransport, Transport, WebhookTransport, transport_for


def test_each_receiver_has_its_transport() -> None:
    log: Transport = transport_for(LogReceiver("log"), lambda: 0)
    hook: Transport = transport_for(WebhookReceiver("ops", "https://x.example/"), lambda: 0)
    assert isinstance(log, LogTransport)
    assert isinstance(hook, WebhookTransport)


def test_every_type_of_the_settings_has_one() -> None:
    receivers = parse_receivers(
        {"a": {"kind": "log"}, "b": {"kind": "webhook", "url": "https://x.example/"}}
    )
    assert all(callable(transport_for(r, lambda: 0).deliver) for r in receivers.values())
