import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_alerts import sign, verify

SECRET, BODY, THEN = "s3cr3t", b'{"version":"1"}', 1_600_000_000


def headers(**changes: str) -> dict[str, str]:
    return {
        "Tidegauge-Timestamp": str(THEN),
        "Tidegauge-Signature": sign(SECRET, THEN, BODY),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }


def test_the_signature_is_what_the_documentation_says() -> None:
    """Receivers in other languages compute it from this description."""
    expected = hmac.new(b"s3cr3t", b'1600000000.{"version":"1"}', hashlib.sha256).hexdigest()
    assert sign(SECRET, THEN, BODY) == f"v1={expected}"


def test_a_message_of_ours_is_accepted() -> None:
    assert verify(SECRET, headers(), BODY, THEN)


def test_names_of_headers_have_no_case() -> None:
    assert verify(SECRET, {name.upper(): value for name, value in headers().items()}, BODY, THEN)
    assert verify(SECRET, {name.lower(): value for name, value in headers().items()}, BODY, THEN)


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 299.9, 300])
def test_within_the_tolerance_it_is_accepted(age: float) -> None:
    assert verify(SECRET, headers(), BODY, THEN + age)


@pytest.mark.parametrize("age", [-301, 301, 300.5, 86_400])
def test_outside_the_tolerance_it_is_a_replay(age: float) -> None:
    assert not verify(SECRET, headers(), BODY, THEN + age)
    assert verify(SECRET, headers(), BODY, THEN + age, tolerance_s=abs(age))


def test_an_old_message_under_a_new_time_is_refused() -> None:
    late = THEN + 86_400
    assert not verify(SECRET, headers(Tidegauge_Timestamp=str(late)), BODY, late)


def test_another_body_or_secret_is_refused() -> None:
    assert not verify(SECRET, headers(), BODY + b" ", THEN)
    assert not verify("other", headers(), BODY, THEN)


def test_timestamp_and_body_cannot_be_shifted_into_each_other() -> None:
    assert sign(SECRET, 1, b"2.x") != sign(SECRET, 12, b".x")


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", "-1", "1e9", "1600000000.0", " 1600000000", "1600000000\n", "١٦", "9" * 5000],
)
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    assert not verify(SECRET, headers(Tidegauge_Timestamp=timestamp), BODY, THEN)


@pytest.mark.parametrize("signature", ["", "v1=", "v2=" + "0" * 64, "é", "\ud800", "0" * 64])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    assert not verify(SECRET, headers(Tidegauge_Signature=signature), BODY, THEN)


@pytest.mark.parametrize("missing", ["Tidegauge-Timestamp", "Tidegauge-Signature"])
def test_a_missing_header_is_refused(missing: str) -> None:
    given_headers = headers()
    del given_headers[missing]
    assert not verify(SECRET, given_headers, BODY, THEN)
    assert not verify(SECRET, {}, BODY, THEN)


@given(st.text(min_size=1), st.integers(0, 10**11), st.binary())
def test_what_is_signed_is_verified(secret: str, then: int, body: bytes) -> None:
    try:
        signature = sign(secret, then, body)
    except UnicodeEncodeError:  # a lone surrogate is no text that a person can set
        return
    signed = {"tidegauge-timestamp": str(then), "tidegauge-signature": signature}
    assert verify(secret, signed, body, then)


@given(st.dictionaries(st.text(), st.text()), st.binary(), st.text(), st.text())
def test_no_sender_can_make_it_raise(
    others: dict[str, str], body: bytes, timestamp: str, signature: str
) -> None:
    given_headers = {
        **others,
        "Tidegauge-Timestamp": timestamp,
        "Tidegauge-Signature": signature,
    }
    assert verify(SECRET, given_headers, body, THEN) is False
