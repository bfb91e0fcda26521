"""From a Vega-Lite specification to a picture: SVG for pages, PNG for messages.

Drawing takes some 50 ms and blocks its thread: call it from a plain ``def`` route. The last
pictures are kept, by content.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

import vl_convert

Spec = dict[str, Any]
"""A Vega-Lite specification, its data included."""

KEPT_PICTURES: Final = 32


def to_svg(spec: Spec) -> str:
    """Return the chart as an SVG document without scripts and inline styles."""
    return _svg(_canonical(spec))


def to_png(spec: Spec, scale: float = 2.0) -> bytes:
    """Return the chart as a PNG of *scale* pixels per unit."""
    return _png(_canonical(spec), scale)


def fingerprint(spec: Spec) -> str:
    """Return a name of the picture's content, for ETag headers."""
    content = f"{version('vl-convert-python')}\n{_canonical(spec)}"
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()


def _canonical(spec: Spec) -> str:
    return json.dumps(_printable(spec), sort_keys=True, allow_nan=False)


def _printable(value: Any) -> Any:
    """Return *value* with U+FFFD for every character that cannot be printed.

    This is no cosmetics: vl-convert 1.9 puts texts into XML to measure them, and aborts the
    whole process where a character (U+0007, U+FFFE) is not allowed there.
    """
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "\ufffd" for c in value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


# No base URL is allowed: whatever a specification holds, drawing fetches nothing.
@lru_cache(maxsize=KEPT_PICTURES)
def _svg(text: str) -> str:
    return vl_convert.vegalite_to_svg(text, allowed_base_urls=[])


@lru_cache(maxsize=KEPT_PICTURES)
def _png(text: str, scale: float) -> bytes:
    return vl_convert.vegalite_to_png(text, scale=scale, allowed_base_urls=[])
