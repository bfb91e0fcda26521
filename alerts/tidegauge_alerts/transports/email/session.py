"""smtplib over a checked connection, with one deadline and one limit of size for all of it.

smtplib's timeouts are for each read, so a server that answers a byte at a time could hold a sender
for ever, and it keeps every line of an answer that never ends.
"""

from __future__ import annotations

import io
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import httpcore2

from tidegauge_alerts.transports.network import CheckedNetwork, Deadline

MAX_READ: Final = 262_144
"""Bytes that a server may say in one session."""

_CHUNK: Final = 16_384
_READY: Final = 220
_FULL_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


class SmtpSession(smtplib.SMTP):
    """One session with a mail server, greeted.

    Raises what smtplib and ssl raise, and AddressRefused, httpcore2's NetworkError,
    TimeoutException, and ProtocolError for what is not SMTP.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        network: CheckedNetwork,
        deadline: Deadline,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Connect; *tls*: encrypt from the first byte on."""
        self._network = network
        self._deadline = deadline
        self._tls = tls
        self._said = 0
        super().__init__(local_hostname=_own_name())
        self._host = host  # what starttls checks the certificate against
        try:
            self._greet(host, port)
        except BaseException:
            self.close()
            raise

    def _greet(self, host: str, port: int) -> None:
        code, words = self.connect(host, port)
        if code != _READY:
            raise smtplib.SMTPConnectError(code, words)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del timeout  # the deadline is for everything
        connection: socket.socket = self._network.connect_tcp(host, port).get_extra_info("socket")
        if self._tls is None:
            return connection
        connection.settimeout(self._deadline.left())
        return self._tls.wrap_socket(connection, server_hostname=host)

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer, within what is left of the deadline."""
        if self.file is None:
            self.file = io.BufferedReader(_TimedReader(self.receive))
        try:
            return super().getreply()
        except smtplib.SMTPResponseException as error:  # a line too long
            raise httpcore2.RemoteProtocolError from error

    def send(self, s: Any) -> None:
        """Send bytes or ASCII, within what is left of the deadline."""
        data = s.encode("ascii") if isinstance(s, str) else s
        for start in range(0, len(data), _CHUNK):
            if self.sock is None:
                raise smtplib.SMTPServerDisconnected
            self.sock.settimeout(self._deadline.left())
            try:
                self.sock.sendall(data[start : start + _CHUNK])
            except TimeoutError as error:
                raise httpcore2.WriteTimeout from error
            except OSError as error:
                self.close()
                raise smtplib.SMTPServerDisconnected from error

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Say STARTTLS, and encrypt from here on; raises where the server will not."""
        self.ehlo_or_helo_if_needed()
        if self.sock is not None:
            self.sock.settimeout(self._deadline.left())
        code, words = self.starttls(context=context)
        if code != _READY:  # never continue unencrypted
            raise smtplib.SMTPResponseException(code, words)

    def receive(self, buffer: Any) -> int:
        """Read what the server says into *buffer*; return how many bytes."""
        if self.sock is None:
            return 0
        self.sock.settimeout(self._deadline.left())
        try:
            count = self.sock.recv_into(buffer)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout from error
        self._said += count
        if self._said > MAX_READ:
            raise httpcore2.RemoteProtocolError
        return count


class _TimedReader(io.RawIOBase):
    """What a session receives, as a file: smtplib reads lines of it."""

    def __init__(self, receive: Callable[[Any], int]) -> None:
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._receive(buffer)


def _own_name() -> str:
    """Return how this machine introduces itself, without a look-up that could take long."""
    name = socket.gethostname()
    return name if _FULL_NAME.fullmatch(name) else "[127.0.0.1]"
