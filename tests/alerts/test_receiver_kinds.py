"""Settings of the receivers of people: what is needed, what is refused, what is never shown."""

import traceback
from dataclasses import fields
from typing import Any

import jsonschema
import pytest

from tests.alerts.http_receivers import SECRET
from tidegauge_alerts import ReceiverError, parse_receivers
from tidegauge_alerts.receivers import AlertmanagerReceiver, EmailReceiver, SlackReceiver
from tidegauge_alerts.transports import Transport, transport_for
from tidegauge_alerts.transports.kinds import BUILT_IN, receiver_schema, typed_keys

URL = f"https://hooks.example.com/{SECRET}"
GOOD: dict[str, dict[str, Any]] = {
    "log": {},
    "webhook": {"url": URL},
    "slack": {"url": URL},
    "pagerduty": {"routing_key": SECRET},
    "teams": {"url": URL},
    "email": {
        "host": "smtp.example.com",
        "from": "t@example.com",
        "to": "a@example.com",
        "user": "u",
        "password": SECRET,
    },
    "alertmanager": {"urls": ["https://am.example.com"], "token": SECRET},
}
BOT = {"url": None, "token": SECRET, "channel": "#ops"}


def parsed(kind: str, **changes: Any) -> Any:
    given = {"kind": kind, **GOOD[kind], **changes}
    return parse_receivers({"ops": {k: v for k, v in given.items() if v is not None}})["ops"]


def refusal(kind: str, **changes: Any) -> str:
    with pytest.raises(ReceiverError) as caught:
        parsed(kind, **changes)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_every_kind_is_tested_here() -> None:
    assert set(GOOD) == set(BUILT_IN)


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_has_a_transport_and_shows_no_secret(kind: str) -> None:
    receiver = parsed(kind)
    transport: Transport = transport_for(receiver, lambda: 0)
    assert callable(transport.deliver)
    assert receiver.kind == kind
    assert SECRET not in f"{receiver!r}{receiver.where}{transport!r}"


@pytest.mark.parametrize("kind", GOOD)
def test_an_unknown_key_is_refused_with_the_nearest_one(kind: str) -> None:
    assert "did you mean 'kind'?" in refusal(kind, knid="x")
    assert refusal(kind, name="x").startswith("receiver 'ops': unknown key 'name' for kind")


@pytest.mark.parametrize(
    ("kind", "key"),
    [("pagerduty", "routing_key"), ("teams", "url"), ("email", "host"), ("email", "from"),
     ("email", "to"), ("alertmanager", "urls")],
)  # fmt: skip
def test_what_is_missing_is_named(kind: str, key: str) -> None:
    assert f"kind {kind} needs " in refusal(kind, **{key: None})
    assert key in refusal(kind, **{key: None})


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind != "log"])
def test_all_have_the_same_limits_of_a_delivery(kind: str) -> None:
    assert "timeout_s must be" in refusal(kind, timeout_s=31)
    assert "allow_private must be" in refusal(kind, allow_private="yes")
    assert {"timeout_s", "allow_private"} <= typed_keys(kind)


def test_numbers_of_variables_are_read_by_their_keys() -> None:
    assert "port" in typed_keys("email")
    assert "ends_after_s" in typed_keys("alertmanager")
    assert "routing_key" not in typed_keys("pagerduty")
    assert typed_keys("unknown") == typed_keys(None) == frozenset()


# -- slack ------------------------------------------------------------------------------------


def test_slack_is_a_webhook_or_a_bot() -> None:
    assert parsed("slack").target == URL
    assert parsed("slack", **BOT).target == "https://slack.com/api/chat.postMessage"
    gov = parsed("slack", **BOT, api_url="https://slack-gov.com/api/")
    assert gov.target == "https://slack-gov.com/api/chat.postMessage"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": None}, "needs a url"),
        ({"token": "xoxb-1", "channel": "#ops"}, "but not both"),
        ({"channel": "#ops"}, "posts to the channel that it was made for"),
        ({**BOT, "channel": None}, "a token needs a channel"),
        ({**BOT, "channel": "x" * 101}, "a token needs a channel"),
        ({**BOT, "channel": 7}, "a token needs a channel"),
        ({**BOT, "token": SECRET + "\r\nX: y"}, "token must be a string of printable ASCII"),
        ({**BOT, "token": 7}, "token must be a string of printable ASCII"),
        ({"url": "ftp://x.example"}, "url must be http"),
        ({**BOT, "api_url": "slack"}, "api_url must be http"),
    ],
)
def test_slack_refuses(changes: dict[str, Any], says: str) -> None:
    assert says in refusal("slack", **changes)


# -- pagerduty --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "short", SECRET + "0", SECRET[:-1] + "é", 7])
def test_pagerduty_needs_an_integration_key(key: object) -> None:
    assert "routing_key must be the integration key" in refusal("pagerduty", routing_key=key)


# -- email ------------------------------------------------------------------------------------


def test_addresses_are_one_or_many() -> None:
    assert parsed("email").to == ("a@example.com",)
    many = parsed("email", to=["A <a@example.com>", "b@example.com"], cc="a@example.com")
    assert many.recipients == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465)])
def test_the_port_follows_the_encryption(tls: str, port: int) -> None:
    assert parsed("email", tls=tls).endpoints[0].port == port
    assert parsed("email", tls=tls, port=2525).where == "smtp.example.com:2525"
    assert parsed("email", tls="none", user=None, password=None).endpoints[0].port == 25


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nBcc: c@d.example",
        "A\r\nBcc: c@d.example <a@b.example>",
        "a@b.example>\r\nRCPT TO:<c@d.example",
        "a b@c.example",
        "a@b.example> SIZE=1",
        "a",
        "@b.example",
        "",
        "é@b.example",
        "a@b.example\x00",
        "A\u202e <a@b.example>",
        7,
    ],
)
@pytest.mark.parametrize("key", ["from", "to", "cc"])
def test_no_address_can_carry_a_header_or_command(key: str, address: object) -> None:
    value = address if key == "from" or isinstance(address, str) else [address]
    assert f"in {key} is not an address like" in refusal("email", **{key: value})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tls": "none"}, "the password would be sent in the clear"),
        ({"tls": "startls"}, "did you mean 'starttls'?"),
        ({"password": None}, "set both user and password, or neither"),
        ({"user": "é"}, "user must be a non-empty string of printable ASCII"),
        ({"user": "a\r\n"}, "user must be a non-empty string of printable ASCII"),
        ({"host": "smtp.example.com:25"}, "host must be the name or address"),
        ({"host": "smtp.example.com\r\n"}, "host must be the name or address"),
        ({"host": ""}, "host must be the name or address"),
        ({"port": 0}, "port must be between"),
        ({"port": True}, "port must be between"),
        ({"port": "25"}, "port must be between"),
        ({"to": []}, "to needs at least one address"),
        ({"to": [f"a{n}@b.example" for n in range(51)]}, "at most 50"),
        ({"cc": {"a": 1}}, "cc must be a list"),
    ],
)
def test_email_refuses(changes: dict[str, Any], says: str) -> None:
    assert says in refusal("email", **changes)


# -- alertmanager -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"urls": []}, "urls must be a list of 1 to 10"),
        ({"urls": 7}, "urls must be a list of 1 to 10"),
        ({"urls": ["https://a.example/?x=1"]}, "has a query or fragment"),
        ({"urls": [f"https://u:{SECRET}@a.example"]}, "use user and password, or token, instead"),
        ({"urls": [7]}, "urls is not a valid address"),
        ({"labels": {"severity": "page"}}, "label 'severity' is set by each message"),
        ({"labels": {"a-b": "x"}}, "is not a label name"),
        ({"labels": {"team": ""}}, "must be a non-empty string"),
        ({"labels": {"team": 7}}, "must be a non-empty string"),
        ({"labels": ["team"]}, "labels must be a mapping"),
        ({"ends_after_s": 59}, "ends_after_s must be"),
        ({"ends_after_s": "1h"}, "ends_after_s must be"),
        ({"user": "u", "password": "p"}, "set user and password, or token"),
        ({"token": None, "user": "u"}, "set both user and password"),
        ({"token": None, "user": "u:v", "password": "p"}, "user must not contain ':'"),
        ({"token": f"{SECRET} x"}, "token must be a string"),
    ],
)
def test_alertmanager_refuses(changes: dict[str, Any], says: str) -> None:
    assert says in refusal("alertmanager", **changes)


def test_one_replica_needs_no_list() -> None:
    assert parsed("alertmanager", urls="https://am.example.com").urls == ("https://am.example.com",)


def test_the_secrets_of_settings_are_fields_that_repr_masks() -> None:
    """A new field called token, password or key must be masked, too."""
    suspicious = ("token", "password", "secret", "key")
    for kind in BUILT_IN.values():
        for one in fields(kind.receiver):
            if any(word in one.name for word in suspicious):
                assert one.metadata, f"{kind.receiver.__name__}.{one.name}"
    assert {AlertmanagerReceiver, EmailReceiver, SlackReceiver} <= {
        kind.receiver for kind in BUILT_IN.values()
    }


# -- The JSON Schema --------------------------------------------------------------------------


def accepted(config: object) -> bool:
    return jsonschema.Draft202012Validator(receiver_schema()).is_valid(config)


@pytest.mark.parametrize("kind", GOOD)
def test_the_schema_takes_what_the_parser_takes(kind: str) -> None:
    assert accepted({"kind": kind, **GOOD[kind]})
    assert not accepted({"kind": kind, **GOOD[kind], "knid": "x"})
    if kind != "log":
        full = {"timeout_s": "${TIMEOUT}", "allow_private": True}
        assert accepted({"kind": kind, **GOOD[kind], **full})
        assert not accepted({"kind": kind, **GOOD[kind], "allow_private": "yes"})


def test_the_schema_knows_what_is_needed_and_leaves_plug_ins_alone() -> None:
    assert not accepted({"kind": "teams"})
    assert not accepted({"url": URL})
    assert accepted({"kind": "ntfy", "anything": 1})
    assert accepted({"kind": "alertmanager", **GOOD["alertmanager"], "labels": {"team": "x"}})
    assert not accepted({"kind": "alertmanager", **GOOD["alertmanager"], "labels": {"team": 1}})
