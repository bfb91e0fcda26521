"""Who may come in: one bearer token, in the Authorization header or in the page's cookie."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

COOKIE = "tidegauge_token"


def new_token() -> str:
    """Return a fresh token of 192 bits."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Gate:
    """Compares what is presented with the token, in constant time."""

    token: str = field(repr=False)

    def opens_for(self, authorization: str | None, cookie: str | None) -> bool:
        """Whether a request with these headers may pass."""
        scheme, _, presented = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and self.accepts(presented.strip()):
            return True
        return cookie is not None and self.accepts(cookie)

    def accepts(self, presented: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(_bytes(presented), _bytes(self.token))


def _bytes(text: str) -> bytes:
    """Return the bytes of any text; a variable that is not UTF-8 holds lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
