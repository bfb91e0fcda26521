import pytest

from tidegauge_alerts import (
    DeliveryError,
    LogReceiver,
    ReceiverError,
    WebhookReceiver,
    parse_receivers,
)
from tidegauge_probes.errors import TidegaugeError

HOOK = {"kind": "webhook", "url": "https://hooks.example.com/t/4f2a"}


def refusal(config: object, name: str = "ops") -> str:
    with pytest.raises(ReceiverError) as caught:
        parse_receivers({name: config})  # type: ignore[dict-item]
    return str(caught.value)


def test_no_receivers_are_no_receivers() -> None:
    assert parse_receivers({}) == {}


def test_receivers_are_parsed_by_name() -> None:
    full = {**HOOK, "secret": "s3", "timeout_s": 2, "allow_private": True}
    assert parse_receivers({"log": {"kind": "log"}, "a": HOOK, "b.c-d": full}) == {
        "log": LogReceiver("log"),
        "a": WebhookReceiver("a", HOOK["url"]),
        "b.c-d": WebhookReceiver("b.c-d", HOOK["url"], "s3", 2, allow_private=True),
    }


def test_a_webhook_is_careful_by_default() -> None:
    hook = WebhookReceiver("ops", HOOK["url"])
    assert (hook.secret, hook.timeout_s, hook.allow_private) == (None, 10.0, False)


def test_an_unknown_key_is_named_with_the_nearest_one() -> None:
    assert refusal({**HOOK, "secrte": "x"}) == (
        "receiver 'ops': unknown key 'secrte' for kind webhook; did you mean 'secret'?"
    )
    assert "did you mean 'kind'?" in refusal({**HOOK, "knid": "x"})


def test_a_key_like_no_other_gets_the_list() -> None:
    assert refusal({**HOOK, "zzz": 1}).endswith(
        "; known: allow_private, kind, secret, timeout_s, url"
    )


def test_the_name_cannot_be_given_twice() -> None:
    assert "unknown key 'name'" in refusal({**HOOK, "name": "other"})


def test_keys_of_another_type_are_unknown() -> None:
    assert "unknown key 'url' for kind log" in refusal({"kind": "log", "url": "https://x.example"})


def test_a_type_is_needed_and_must_be_known() -> None:
    assert refusal({"url": "https://x.example"}) == (
        "receiver 'ops' has no kind; known: alertmanager, email, log, pagerduty, slack, "
        "teams, webhook"
    )
    assert "no kind 'webhok'; did you mean 'webhook'?" in refusal({"kind": "webhok"})
    assert "no kind '['" in refusal({"kind": "["})
    assert "no kind" in refusal({"kind": ["log"]})


def test_a_webhook_needs_a_url() -> None:
    assert "needs a url" in refusal({"kind": "webhook"})


@pytest.mark.parametrize("given", [None, "https://x.example", ["log"], 3])
def test_a_receiver_must_be_a_mapping(given: object) -> None:
    assert "must be a mapping" in refusal(given)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://.",
        "https://.example.com/",
        "https://user:hunter2@hooks.example.com/",
        "https://token@hooks.example.com/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com/\r\nX: 1",
        "https://[::1/",
        3,
        None,
    ],
)
def test_a_url_must_be_one_of_a_web_server(url: object) -> None:
    message = refusal({"kind": "webhook", "url": url})
    assert message.startswith("receiver 'ops': ")
    assert "url" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("timeout", [0, -1, 31, True, "10", None, float("nan"), float("inf")])
def test_a_timeout_is_seconds_below_the_lease(timeout: object) -> None:
    assert "timeout_s must be a number of seconds" in refusal({**HOOK, "timeout_s": timeout})


@pytest.mark.parametrize("secret", ["", 7, ["s3"], True])
def test_a_secret_is_a_text(secret: object) -> None:
    assert "secret must be a non-empty string" in refusal({**HOOK, "secret": secret})


@pytest.mark.parametrize("allow", ["yes", 1, None])
def test_private_addresses_are_allowed_by_true_only(allow: object) -> None:
    assert "allow_private must be true or false" in refusal({**HOOK, "allow_private": allow})


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\n", "x" * 101, "é"])
def test_names_are_short_and_plain(name: str) -> None:
    assert "a name may have at most 100" in refusal(HOOK, name)
    assert "a name may have at most 100" in refusal({"kind": "log"}, name)


def test_errors_belong_to_the_tree() -> None:
    assert issubclass(ReceiverError, DeliveryError)
    assert issubclass(DeliveryError, TidegaugeError)
