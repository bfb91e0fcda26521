"""Content codings of bodies (RFC 9110, 8.4.1): gzip and deflate, unpacked within a limit. Pure."""

from __future__ import annotations

import gzip
import io
import zlib
from enum import Enum
from typing import Final

from tidegauge_service.api.problems import Problem


class Coding(Enum):
    """How a body is packed."""

    GZIP = "gzip"
    DEFLATE = "deflate"


ACCEPTED: Final = "gzip, deflate"

_DEFLATED: Final = 8
_ZLIB, _RAW = 15, -15
"""zlib's names (``wbits``) for the two formats that are called deflate."""


class BodyTooLarge(Exception):  # noqa: N818  (what is the matter with the body)
    """Unpacked, the body has more bytes than the limit."""


def coding(header: str) -> Coding | None:
    """Return what Content-Encoding names, None for nothing; Problem 415 for anything else."""
    name = header.strip().lower().removeprefix("x-")
    if name in {"", "identity"}:
        return None
    try:
        return Coding(name)
    except ValueError:
        detail = (
            f"Content-Encoding '{header}' is not supported: send gzip or deflate, or leave it out"
        )
        raise Problem(
            415, "unsupported_media_type", detail, headers={"Accept-Encoding": ACCEPTED}
        ) from None


def inflate(packed: bytes, coding: Coding, most: int) -> bytes:
    """Return the bytes that were packed, at most *most*; memory does not grow beyond that.

    Raises TooLarge; Problem 400 for data that is damaged, or ends early.
    """
    unpack = _gzip if coding is Coding.GZIP else _deflate
    try:
        found = unpack(packed, most + 1)
    except (zlib.error, OSError, EOFError) as error:
        raise Problem(
            400, "invalid_encoding", f"the body is not {coding.value}: {error}"
        ) from error
    if len(found) > most:
        raise BodyTooLarge
    return found


def _gzip(packed: bytes, most: int) -> bytes:
    """Return the first *most* bytes; files may be joined (RFC 1952, 2.2)."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return file.read(most)


def _deflate(packed: bytes, most: int) -> bytes:
    engine = zlib.decompressobj(_deflate_format(packed))
    found = engine.decompress(packed, most)
    if len(found) < most and not engine.eof:
        raise EOFError("it ends too early")
    if engine.unused_data:
        raise EOFError("there is data after its end")
    return found


def _deflate_format(data: bytes) -> int:
    """Return zlib's format, which HTTP means by deflate, or the raw one, which some send.

    A zlib header is a multiple of 31 whose low half byte is 8 (RFC 1950, 2.2).
    """
    method = data[0] & 15 if data else 0
    return _ZLIB if method == _DEFLATED and int.from_bytes(data[:2]) % 31 == 0 else _RAW
