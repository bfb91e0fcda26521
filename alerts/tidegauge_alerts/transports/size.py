"""Payloads that fit into what a receiver takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

SHORTENED: Final = "… and more: the message was shortened"


def utf16_length(text: str) -> int:
    """Return the length of a text as JavaScript counts it: an emoji is 2.

    >>> utf16_length("a🔴")
    3
    """
    return len(text) + sum(c > "\uffff" for c in text)


def fitted(build: Callable[[Sequence[str]], Any], lines: Sequence[str], limit: int) -> bytes:
    """Return the JSON of *build(lines)*, with as many of the lines as fit into *limit* bytes.

    >>> fitted(list, ["aaaa", "bbbb"], 100)
    b'["aaaa","bbbb"]'
    """
    body = _encoded(build(lines))
    kept = len(lines)
    while len(body) > limit and kept:
        kept -= 1
        body = _encoded(build([*lines[:kept], SHORTENED]))
    return body


def _encoded(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
