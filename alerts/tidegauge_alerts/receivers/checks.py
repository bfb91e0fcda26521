"""Checks that several kinds of receivers share. None repeats a value that may be secret.

Each raises ReceiverError, which names the receiver and the key.
"""

from __future__ import annotations

import math
import re
from typing import Final

import httpx2

from tidegauge_alerts.errors import ReceiverError

MAX_TIMEOUT_S: Final = 30.0
"""Half of the lease that a sender holds on a message: no two senders may send it at once."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
"""What can be a value of a header: printable ASCII without spaces."""


def check_name(name: str) -> None:
    """Reject an invalid receiver name."""
    if not is_text(name) or not _NAME.fullmatch(name):
        raise ReceiverError(
            f"receiver {name!r}: a name may have at most 100 letters, digits, '_', '.', "
            "'-', and must start with a letter or digit"
        )


IN_PATH: Final = "use a token in the path instead"


def check_url(name: str, url: str, key: str = "url", instead: str = IN_PATH) -> None:
    """Reject what is not the URL of a web server, without repeating it: it may be secret.

    *instead*: what to use in place of a user name or password in the URL.
    """
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        raise ReceiverError(f"receiver '{name}': {key} is not a valid address") from None
    if parsed.scheme not in ("http", "https") or not parsed.host.strip("."):
        raise ReceiverError(f"receiver '{name}': {key} must be http://… or https://… with a host")
    if parsed.host.startswith("."):
        raise ReceiverError(f"receiver '{name}': the host in {key} starts with a dot")
    if parsed.port is not None and not 0 < parsed.port < 65_536:  # noqa: PLR2004
        raise ReceiverError(f"receiver '{name}': the port in {key} must be between 1 and 65535")
    if parsed.userinfo:
        raise ReceiverError(f"receiver '{name}': {key} contains a user name or password; {instead}")


def check_delivery(name: str, timeout_s: float, allow_private: object) -> None:
    """Reject a timeout beyond the lease of a message, and an ``allow_private`` like ``"yes"``."""
    if not is_number(timeout_s) or not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise ReceiverError(
            f"receiver '{name}': timeout_s must be a number of seconds above 0, "
            f"at most {MAX_TIMEOUT_S:g}"
        )
    if not isinstance(allow_private, bool):
        raise ReceiverError(f"receiver '{name}': allow_private must be true or false")


def check_token(name: str, value: object, key: str) -> None:
    """Reject a token that cannot be sent in a header; ``None`` means that there is none."""
    if value is not None and not (isinstance(value, str) and _TOKEN.fullmatch(value)):
        raise ReceiverError(
            f"receiver '{name}': {key} must be a string of printable ASCII without spaces"
        )


def is_text(value: object) -> bool:
    """Tell whether a value is a string that is not empty."""
    return isinstance(value, str) and bool(value)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number; true and false are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
