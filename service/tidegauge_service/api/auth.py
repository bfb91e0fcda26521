"""Who may come in: one bearer token, in the Authorization header or in the page's cookie."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegauge_service.config.tokens import same_token

COOKIE = "tidegauge_token"


@dataclass(frozen=True)
class TokenAuth:
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
        return same_token(presented, self.token)
