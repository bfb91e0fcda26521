"""Messages as mail.

::

    mail:
      kind: email
      host: smtp.example.com
      from: tidegauge <tidegauge@example.com>
      to: [on-call@example.com]
      user: tidegauge
      password: "${SMTP_PASSWORD}"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from tidegauge_alerts.errors import ReceiverError
from tidegauge_alerts.receivers.checks import check_delivery, is_text
from tidegauge_alerts.receivers.receiver import Endpoint, Receiver, key_field, secret_field
from tidegauge_probes.errors import nearest

MOST_RECIPIENTS: Final = 50

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45}")
_SPEC: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}"
"""RFC 5321, 4.1.2, without quoted names: ASCII, and nothing that could end an SMTP command."""

_ADDRESS: Final = re.compile(
    rf"(?:(?P<name>[^<>@]{{0,100}})<(?P<named>{_SPEC})>|(?P<bare>{_SPEC}))"
)


class SmtpTls(StrEnum):
    """How a connection to a mail server is encrypted; the value is that of the settings."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS: Final = {SmtpTls.STARTTLS: 587, SmtpTls.TLS: 465, SmtpTls.NONE: 25}


@dataclass(frozen=True, slots=True, repr=False)
class EmailReceiver(Receiver):
    """Mails to *to* and *cc* over the SMTP server *host*."""

    kind: ClassVar[str] = "email"

    host: str
    sender: str = key_field("from")
    """An address, or ``name <address>``."""
    to: tuple[str, ...] = key_field(many=True)
    cc: tuple[str, ...] = key_field(many=True, default=())
    port: int | None = None
    """By default 587 (starttls), 465 (tls) or 25 (none)."""
    tls: str = SmtpTls.STARTTLS.value
    user: str | None = None
    password: str | None = secret_field(default=None)
    timeout_s: float = 20.0
    allow_private: bool = False

    def check(self) -> None:
        """Reject settings that can never work."""
        if not is_text(self.host) or not _HOST.fullmatch(self.host):
            raise ReceiverError(
                f"receiver '{self.name}': host must be the name or address of a mail server"
            )
        if self.tls not in tuple(SmtpTls):
            raise ReceiverError(
                f"receiver '{self.name}': tls must be starttls, tls or none"
                f"{nearest(str(self.tls), SmtpTls)}"
            )
        if self.port is not None and (type(self.port) is not int or not 0 < self.port < 65_536):  # noqa: PLR2004
            raise ReceiverError(f"receiver '{self.name}': port must be between 1 and 65535")
        self._check_addresses()
        self._check_login()
        check_delivery(self.name, self.timeout_s, self.allow_private)

    def _check_addresses(self) -> None:
        _check_address(self.name, "from", self.sender)
        for key, addresses in (("to", self.to), ("cc", self.cc)):
            if not isinstance(addresses, tuple):
                raise ReceiverError(f"receiver '{self.name}': {key} must be a list of addresses")
            for address in addresses:
                _check_address(self.name, key, address)
        if not self.to or len(self.recipients) > MOST_RECIPIENTS:
            raise ReceiverError(
                f"receiver '{self.name}': to needs at least one address, and to and cc together "
                f"at most {MOST_RECIPIENTS}"
            )

    def _check_login(self) -> None:
        if (self.user is None) != (self.password is None):
            raise ReceiverError(f"receiver '{self.name}': set both user and password, or neither")
        for key, value in (("user", self.user), ("password", self.password)):
            if value is not None and not _is_ascii(value):
                raise ReceiverError(
                    f"receiver '{self.name}': {key} must be a non-empty string of printable ASCII"
                )
        if self.user is not None and self.tls == SmtpTls.NONE:
            raise ReceiverError(
                f"receiver '{self.name}': with tls: none the password would be sent in the clear; "
                "set tls to starttls or tls, or remove user and password"
            )

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return all addresses that get the mail, each once, without names."""
        return tuple(dict.fromkeys(split_address(one)[1] for one in (*self.to, *self.cc)))

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the mail server."""
        port = self.port or _PORTS[SmtpTls(self.tls)]
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return (Endpoint(self.host, port, f"{shown}:{port}"),)


def split_address(given: str) -> tuple[str, str]:
    """Return the name and the address proper of an address of the settings.

    >>> split_address("On call <on-call@example.com>"), split_address("a@example.com")
    (('On call', 'on-call@example.com'), ('', 'a@example.com'))
    """
    found = _ADDRESS.fullmatch(given)
    if found is None:
        raise ReceiverError(f"{given!r} is not an address like on-call@example.com")
    return (found["name"] or "").strip(' "'), found["named"] or found["bare"]


def _is_ascii(value: object) -> bool:
    """Tell whether smtplib can use a value to log in."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def _check_address(name: str, key: str, given: object) -> None:
    """Reject what is not an address, or ``name <address>``, on one line."""
    if not isinstance(given, str) or not given.isprintable() or not _ADDRESS.fullmatch(given):
        raise ReceiverError(
            f"receiver '{name}': {given!r} in {key} is not an address like on-call@example.com or "
            "On call <on-call@example.com>"
        )
