"""Mail over a real server on loopback: who gets it, how it is encrypted, what comes of it."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.builders import NOON_MS, context, fired, shifted
from tests.alerts.smtp import MailServer
from tests.servers.certificates import Authority
from tidegauge_alerts import Rule, messages_of
from tidegauge_alerts.receivers import EmailReceiver
from tidegauge_alerts.transports import Delivered, Outcome, Refused, Retry
from tidegauge_alerts.transports.email.transport import EmailTransport

PASSWORD = "hunter2-hunter2"
(MESSAGE,) = messages_of(fired(shifted()), Rule(), context(), 3, "https://x.example")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("mail"))
    return context


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    return authority.pem


@pytest.fixture
def plain() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def transport(server: MailServer, **options: Any) -> EmailTransport:
    given = {"tls": "none", "to": ("a@x.example",), "allow_private": True, "timeout_s": 10.0}
    receiver = EmailReceiver(
        "mail", "127.0.0.1", "tidegauge <t@x.example>", port=server.port, **{**given, **options}
    )
    return EmailTransport(receiver, lambda: NOON_MS)


def deliver(server: MailServer, **options: Any) -> Outcome:
    return transport(server, **options).deliver(MESSAGE.body, MESSAGE.dedup_key)


def test_a_mail_goes_to_all_recipients_once(plain: MailServer) -> None:
    to, cc = ("On call <a@x.example>", "b@x.example"), ("c@x.example", "a@x.example")
    assert deliver(plain, to=to, cc=cc) == Delivered()
    (envelope,) = plain.envelopes
    assert envelope.sender == "t@x.example"
    assert envelope.recipients == ["a@x.example", "b@x.example", "c@x.example"]
    assert envelope.mail["To"] == "On call <a@x.example>, b@x.example"
    assert envelope.mail["Cc"] == "c@x.example, a@x.example"
    assert envelope.mail["From"] == "tidegauge <t@x.example>"


@pytest.mark.usefixtures("trusted")
def test_starttls_is_the_default_and_comes_before_the_password(tls: ssl.SSLContext) -> None:
    with MailServer(tls, login=("u", PASSWORD)) as server:
        assert deliver(server, tls="starttls", user="u", password=PASSWORD) == Delivered()
        assert server.envelopes[0].encrypted
        verbs = [command.split(" ")[0].upper() for command in server.commands]
        assert verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert EmailReceiver("m", "h", "a@b.example", ("c@d.example",)).tls == "starttls"


@pytest.mark.usefixtures("trusted")
def test_tls_encrypts_from_the_first_byte(tls: ssl.SSLContext) -> None:
    with MailServer(tls, tls_at_once=True) as server:
        assert deliver(server, tls="tls") == Delivered()
        assert server.envelopes[0].encrypted
        assert "STARTTLS" not in server.commands


@pytest.mark.usefixtures("trusted")
def test_without_starttls_nothing_is_sent_in_the_clear(plain: MailServer) -> None:
    outcome = deliver(plain, tls="starttls", user="u", password=PASSWORD)
    assert isinstance(outcome, Refused)
    assert "does not offer STARTTLS" in outcome.why
    assert [command.split(" ")[0].upper() for command in plain.commands] == ["EHLO"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("code", "kind"), [(454, Retry), (554, Refused)])
def test_a_refused_starttls_ends_the_session(
    tls: ssl.SSLContext, code: int, kind: type[Outcome]
) -> None:
    with MailServer(tls, answers={"STARTTLS": b"%d no\r\n" % code}) as server:
        outcome = deliver(server, tls="starttls", user="u", password=PASSWORD)
        assert isinstance(outcome, kind)
        assert server.commands[-1] == "STARTTLS"


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    tls: ssl.SSLContext, way: str
) -> None:
    with MailServer(tls, tls_at_once=way == "tls") as server:
        outcome = deliver(server, tls=way)
        assert isinstance(outcome, Retry)
        assert "its certificate is not valid" in outcome.why
        assert server.envelopes == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("other", names="DNS:other.example"))
    with MailServer(context) as server:
        outcome = deliver(server, tls="starttls")
        assert isinstance(outcome, Retry)
        assert "its certificate is not valid" in outcome.why


@pytest.mark.usefixtures("trusted")
def test_a_plain_server_under_tls_is_tried_again(plain: MailServer) -> None:
    outcome = deliver(plain, tls="tls")
    assert isinstance(outcome, Retry)
    assert "check port and tls" in outcome.why


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_refused_and_not_shown(tls: ssl.SSLContext) -> None:
    with MailServer(tls, login=("u", "other")) as server:
        outcome = deliver(server, tls="starttls", user="u", password=PASSWORD)
    assert isinstance(outcome, Refused)
    assert outcome.why.endswith("it responded 535 5.7.8: check user and password")
    assert PASSWORD not in repr(outcome)


@pytest.mark.parametrize("command", ["CONNECT", "MAIL", "RCPT a@x.example", "DATA", "."])
@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [(b"451 4.3.0 evil\r\n", Retry, "451 4.3.0"), (b"550 5.1.1 evil\r\n", Refused, "550 5.1.1")],
)
def test_4xx_is_tried_again_and_5xx_is_refused(
    command: str, answer: bytes, kind: type[Outcome], shown: str
) -> None:
    with MailServer(answers={command: answer}) as server:
        outcome = deliver(server)
        assert isinstance(outcome, kind)
        assert shown in repr(outcome)
        assert "evil" not in repr(outcome)
        assert server.envelopes == []


def test_one_wrong_address_does_not_keep_the_mail_from_the_others() -> None:
    with MailServer(answers={"RCPT b@x.example": b"550 5.1.1 unknown\r\n"}) as server:
        outcome = deliver(server, to=("a@x.example", "b@x.example"))
        assert isinstance(outcome, Refused)
        assert "it did not accept b@x.example (550 5.1.1); the others have it" in outcome.why
        assert server.envelopes[0].recipients == ["a@x.example"]


def test_an_address_that_is_refused_for_now_is_tried_again() -> None:
    with MailServer(answers={"RCPT b@x.example": b"450 4.2.0 greylisted\r\n"}) as server:
        outcome = deliver(server, to=("a@x.example", "b@x.example"))
    assert isinstance(outcome, Retry)
    assert "b@x.example (450 4.2.0)" in outcome.why


@pytest.mark.parametrize("answer", [b"SSH-2.0-evil\r\n", b"x" * 100_000, b"250-x\r\n" * 100_000])
def test_what_is_not_smtp_is_tried_again(answer: bytes) -> None:
    with MailServer(answers={"CONNECT": answer}) as server:
        outcome = deliver(server)
    assert isinstance(outcome, Retry)
    assert "evil" not in outcome.why


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "DATA"])
def test_a_hundred_megabytes_are_not_read(command: str) -> None:
    with MailServer(answers={command: b"250-x\r\n" * 15_000_000}) as server:
        outcome = deliver(server)
    assert isinstance(outcome, Retry)
    assert "its response is not SMTP" in outcome.why


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "DATA", "."])
def test_a_server_that_hangs_is_tried_again(command: str) -> None:
    with MailServer(answers={command: b"250-"}) as server:
        outcome = deliver(server, timeout_s=0.3)
    assert isinstance(outcome, Retry)
    assert "no answer within 0.3 s" in outcome.why


def test_an_answer_that_trickles_in_does_not_last_for_ever() -> None:
    """Each line arrives in time; here each look at the clock takes a second."""
    now = iter(float(second) for second in range(10_000))
    with MailServer(answers={"EHLO": b"250-x\r\n" * 30_000}) as server:
        sender = transport(server, timeout_s=20.0)
        sender._monotonic = lambda: next(now)
        outcome = sender.deliver(MESSAGE.body, "key-1")
    assert isinstance(outcome, Retry)
    assert "no answer within 20 s" in outcome.why
    assert next(now) < 60


def test_loopback_is_refused_by_default(plain: MailServer) -> None:
    outcome = deliver(plain, allow_private=False)
    assert isinstance(outcome, Refused)
    assert "its address 127.0.0.1 is private" in outcome.why
    assert plain.commands == []


def test_a_server_that_is_away_is_tried_again() -> None:
    with MailServer() as server:
        pass
    outcome = deliver(server)
    assert isinstance(outcome, Retry)
    assert "refused" in outcome.why.lower()


def test_the_same_message_has_the_same_id_and_an_incident_one_thread(plain: MailServer) -> None:
    sender = transport(plain)
    resolved = {**MESSAGE.body, "status": "resolved"}
    for body, key in ((MESSAGE.body, "k1"), (MESSAGE.body, "k1"), (resolved, "k2")):
        assert sender.deliver(body, key) == Delivered()
    one, again, over = (envelope.mail for envelope in plain.envelopes)
    assert one["Message-ID"] == again["Message-ID"] != over["Message-ID"]
    assert one["References"] == over["References"] == over["In-Reply-To"]
    assert one["Message-ID"].endswith("@x.example>")
    assert one["Auto-Submitted"] == "auto-generated"
    assert over["Subject"].startswith("[spam] Resolved: ")
