"""Mails over SMTP.

=============================================  ============================================
answer                                         outcome
=============================================  ============================================
250 to the mail and all recipients             delivered
4xx, no answer, a certificate that is not good  try again
5xx, no STARTTLS, private address              refused
=============================================  ============================================

If the server accepts only some recipients, they get the mail; the outcome is about the others.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpcore2
import httpx2

from tidegauge_alerts.errors import AddressRefused
from tidegauge_alerts.messages.summary import summary_of
from tidegauge_alerts.receivers.email import EmailReceiver, SmtpTls, split_address
from tidegauge_alerts.transports.email.content import mail
from tidegauge_alerts.transports.email.session import SmtpSession
from tidegauge_alerts.transports.network import CheckedNetwork, Deadline, Resolver, resolve
from tidegauge_alerts.transports.protocol import Clock, Delivered, Outcome, Refused, Retry

_ENHANCED: Final = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
"""An enhanced status code (RFC 3463), e.g. 5.1.1: bad mailbox. The words after it stay unread."""

_Refusals = Mapping[str, tuple[int, bytes]]


class EmailTransport:
    """Mails messages over one server."""

    def __init__(
        self,
        receiver: EmailReceiver,
        clock: Clock,
        *,
        resolver: Resolver = resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver = receiver
        self._clock = clock
        self._resolver = resolver
        self._monotonic = monotonic
        self._ssl_context = httpx2.create_ssl_context()

    def deliver(self, message: Mapping[str, Any], dedup_key: str) -> Outcome:
        """Mail *message* once; see :class:`~tidegauge_alerts.transports.protocol.Transport`."""
        made = mail(summary_of(message), self._receiver, dedup_key, self._clock())
        try:
            refused = self._send(made.as_bytes())
        except AddressRefused as error:
            return self._refused(str(error))
        except httpcore2.TimeoutException:
            return self._retry(f"no answer within {self._receiver.timeout_s:g} s")
        except httpcore2.NetworkError as error:
            return self._retry(str(error) or type(error).__name__)
        except httpcore2.ProtocolError:
            return self._retry("its response is not SMTP")
        except OSError as error:  # smtplib's and ssl's errors are OSErrors, too
            return self._failed(error)
        return self._of_recipients(refused) if refused else Delivered()

    def _send(self, content: bytes) -> _Refusals:
        """Mail *content*; return the recipients that the server did not accept."""
        receiver = self._receiver
        deadline = Deadline(receiver.timeout_s, self._monotonic)
        network = CheckedNetwork(deadline, self._resolver, allow_private=receiver.allow_private)
        tls = self._ssl_context if receiver.tls == SmtpTls.TLS else None
        (endpoint,) = receiver.endpoints
        session = SmtpSession(
            endpoint.host, endpoint.port, network=network, deadline=deadline, tls=tls
        )
        try:
            if receiver.tls == SmtpTls.STARTTLS:
                session.encrypt(self._ssl_context)
            if receiver.user is not None and receiver.password is not None:
                session.login(receiver.user, receiver.password)
            _, sender = split_address(receiver.sender)
            refused = session.sendmail(sender, receiver.recipients, content)
            # The server has accepted the mail, so it does not matter whether QUIT arrives.
            with suppress(OSError, httpcore2.TimeoutException):
                session.putcmd("QUIT")
            return refused
        finally:
            session.close()

    def _failed(self, error: OSError) -> Outcome:
        """Return the outcome of an error of smtplib or ssl, in our words."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._of_recipients(error.recipients)
        if isinstance(error, smtplib.SMTPResponseException):
            return self._answered(error)
        if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
            return self._refused(
                "it does not offer STARTTLS, or no login that we know: check host, port and tls"
            )
        return self._retry(_words(error))

    def _answered(self, error: smtplib.SMTPResponseException) -> Outcome:
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        hint = ": check user and password" if is_login else ""
        said = f"it responded {_code(error.smtp_code, error.smtp_error)}{hint}"
        final = 500 <= error.smtp_code < 600  # noqa: PLR2004
        return self._refused(said) if final else self._retry(said)

    def _of_recipients(self, refusals: _Refusals) -> Outcome:
        """Return the outcome if some or all recipients were not accepted."""
        listed = ", ".join(f"{to} ({_code(*answer)})" for to, answer in sorted(refusals.items()))
        others = "" if len(refusals) == len(self._receiver.recipients) else "; the others have it"
        why = f"it did not accept {listed}{others}"
        final = all(500 <= code < 600 for code, _ in refusals.values())  # noqa: PLR2004
        return self._refused(f"{why}: check to and cc") if final else self._retry(why)

    def _retry(self, why: str) -> Retry:
        return Retry(f"email '{self._receiver.name}' at {self._receiver.where}: {why}")

    def _refused(self, why: str) -> Refused:
        return Refused(f"email '{self._receiver.name}' at {self._receiver.where}: {why}")


def _words(error: OSError) -> str:
    """Return why a connection failed, without the server's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'ended early'}): check port and tls"
    return "no answer in time" if isinstance(error, TimeoutError) else "the connection ended early"


def _code(code: int, words: bytes | str) -> str:
    """Return e.g. ``550 5.1.1``: numbers only, as the server's words may be hostile."""
    raw = words.encode("ascii", "replace") if isinstance(words, str) else words
    found = _ENHANCED.match(raw)
    return f"{code} {found[0].decode()}" if found else str(code)
