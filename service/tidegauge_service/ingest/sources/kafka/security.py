"""TLS and SASL for the Kafka source: what kafka-python is given, and what to check if it fails.

kafka-python tries a wrong password or certificate again and again, and says in the end only that
it could not bootstrap. The reason is in its log alone; so would the password be, at level DEBUG.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tidegauge_service.config.sources import KafkaSource
from tidegauge_service.errors import SettingsError

_CHECKS: Final = {
    "Hostname mismatch": (
        "the broker's certificate is for another host: use that host "
        "name in `bootstrap` and in the broker's advertised.listeners, "
        "or set ssl_check_hostname: false"
    ),
    "IP address mismatch": (
        "the broker's certificate does not cover this address: use "
        "the name it covers in `bootstrap` and advertised.listeners, "
        "or set ssl_check_hostname: false"
    ),
    "certificate has expired": (
        "the broker's certificate has expired: renew it (and check the clock of this machine)"
    ),
    "certificate is not yet valid": ("the broker's certificate is not valid yet: check the clocks"),
    "CERTIFICATE_VERIFY_FAILED": (
        "the broker's certificate was not signed by a CA in "
        "ssl_cafile: set ssl_cafile to the file with the CA that "
        "signed it"
    ),
    "UNKNOWN_CA": "the broker does not trust our certificate: ssl_certfile must be signed by a CA "
    "in the broker's truststore",
    "CERTIFICATE_EXPIRED": "our certificate has expired: renew ssl_certfile",
    "CERTIFICATE": (
        "the broker requires a client certificate signed by a CA in its "
        "truststore: check ssl_certfile and ssl_keyfile"
    ),
    "UNEXPECTED_EOF": "that port does not speak TLS: check security_protocol and the port",
    "WRONG_VERSION_NUMBER": "that port does not speak TLS: check security_protocol and the port",
    "SaslAuthenticationFailed": (
        "the broker rejected the user name or password: check "
        "sasl_username, sasl_mechanism and "
        "TIDEGAUGE_KAFKA_PASSWORD"
    ),
    "UnsupportedSaslMechanism": "the broker does not offer this sasl_mechanism",
    "IllegalSaslState": "that port does not speak SASL: check security_protocol and the port",
    # Brokers answer a failed login and hang up; kafka-python may see only that they hung up.
    "socket disconnected": (
        "the broker closed the connection: the port needs another "
        "security_protocol, or, with SASL, the broker rejected the "
        "user name or password (check sasl_username, sasl_mechanism "
        "and TIDEGAUGE_KAFKA_PASSWORD)"
    ),
}
"""Text found in an error of kafka-python or OpenSSL, and what to check; the first match wins."""


def options(config: KafkaSource, password: str | None, folder: Path) -> dict[str, Any]:
    """Return kafka-python's options; paths start at *folder*. SettingsError for a bad file."""
    found: dict[str, Any] = {"security_protocol": config.security_protocol}
    if config.security_protocol.endswith("SSL"):
        found["ssl_context"] = _context(config, folder)
    if config.sasl_mechanism:
        given = config.sasl_password.get_secret_value() if config.sasl_password else None
        if not (password or given):
            msg = "the Kafka password is missing: set TIDEGAUGE_KAFKA_PASSWORD"
            raise SettingsError(msg)
        found |= {
            "sasl_mechanism": config.sasl_mechanism,
            "sasl_plain_username": config.sasl_username,
            "sasl_plain_password": password or given,
        }
    return found


def _context(config: KafkaSource, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = config.ssl_check_hostname
    try:
        if config.ssl_cafile:
            context.load_verify_locations(folder / config.ssl_cafile)
        else:
            context.load_default_certs()
        if config.ssl_certfile:
            key = folder / config.ssl_keyfile if config.ssl_keyfile else None
            # A password, so that OpenSSL does not ask for one on the terminal, and wait.
            context.load_cert_chain(folder / config.ssl_certfile, key, password="")
    except OSError as error:  # ssl.SSLError is one too
        files = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
        named = ", ".join(f"{f}: {getattr(config, f)}" for f in files if getattr(config, f))
        why = error.strerror or str(error)
        msg = f"cannot use {named}: {why}. The files must be PEM, with keys that have no password"
        raise SettingsError(msg) from error
    return context


def what_to_check(errors: Sequence[str]) -> tuple[str, str] | None:
    """Return the error that tells most, and what to check then; None if nobody knows.

    >>> what_to_check(["[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"])[1]
    'that port does not speak TLS: check security_protocol and the port'
    """
    return next(
        ((error, advice) for sign, advice in _CHECKS.items() for error in errors if sign in error),
        None,
    )


_LOGGER: Final = logging.getLogger("kafka")


def keep_quiet() -> None:
    """Never let kafka-python log at DEBUG: it would log its requests, the password in them.

    The effective level: a level of its own would let pass what the root's keeps back.
    """
    _LOGGER.setLevel(max(logging.INFO, _LOGGER.getEffectiveLevel()))


class ConnectionErrors(logging.Handler):
    """Listens to what kafka-python logs while it connects: ``errors``, by type and text."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember an error, once."""
        for met in (a for a in (record.args or ()) if isinstance(a, Exception)):
            told = f"{type(met).__name__}: {met}"
            if told not in self.errors:
                self.errors.append(told)

    def __enter__(self) -> Self:
        """Listen."""
        _LOGGER.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        _LOGGER.removeHandler(self)
