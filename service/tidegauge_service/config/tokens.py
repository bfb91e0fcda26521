"""The bearer token: what it must look like, and how a presented one is compared."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

SHORTEST: Final = 12
"""Characters of a token. Attackers can try many: shorter ones are found."""


def new_token() -> str:
    """Return a fresh token of 192 bits."""
    return secrets.token_urlsafe(24)


def check_token(token: str) -> None:
    """ValueError unless *token* can be sent in a header and a cookie, and is hard to guess.

    RFC 9110 allows printable ASCII in a header; browsers keep no quotes, commas, semicolons or
    backslashes of a cookie.
    """
    if not token.strip():
        msg = "is empty: set a token, or leave it out to use the one that is printed at start"
    elif any(not "!" <= c <= "~" or c in '",;\\' for c in token):
        msg = (
            "may contain only ASCII letters, digits and symbols, and no spaces, quotes, commas, "
            "; or \\"
        )
    elif len(token) < SHORTEST:
        msg = (
            f"has {len(token)} characters: use at least {SHORTEST}, e.g. from "
            "`openssl rand -hex 24`"
        )
    else:
        return
    raise ValueError(msg)


def same_token(presented: str, token: str) -> bool:
    """Whether *presented* is the token, in constant time; it may hold anything."""
    return hmac.compare_digest(
        presented.encode(errors="surrogatepass"), token.encode(errors="surrogatepass")
    )
