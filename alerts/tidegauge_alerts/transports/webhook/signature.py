"""Signatures of webhook messages: made by us, verified by receivers.

HMAC-SHA256 (RFC 2104) over ``<timestamp>.<raw body>``. The timestamp is signed too, so that a
message that was overheard cannot be sent again later under a new time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

SIGNATURE: Final = "Tidegauge-Signature"
TIMESTAMP: Final = "Tidegauge-Timestamp"
TOLERANCE_S: Final = 300.0


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of ``Tidegauge-Signature``: ``v1=`` and 64 hex digits."""
    signed = f"{timestamp_s}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Tell whether a message came from us, unaltered, within *tolerance_s* seconds of *now*.

    For receivers: *body* is the raw body, before any parsing; *now* is in epoch seconds. Names
    of *headers* are compared without case. Never raises for what a sender can choose; the
    comparison takes the same time wherever the signature differs.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIMESTAMP.lower(), "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    if abs(now - int(timestamp)) > tolerance_s:
        return False
    signature = given.get(SIGNATURE.lower(), "").encode("utf-8", "replace")
    return hmac.compare_digest(sign(secret, int(timestamp), body).encode(), signature)
