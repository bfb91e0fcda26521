"""Which records say the same: 64-bit keys of their texts, equal for what people call copies.

A text is folded first: NFKC, lower case, no white space, digits to 0, a URL to its scheme and host.
So "Order 17 shipped" and "order 23  shipped" are copies, and so are posts that differ only in what
stands behind the host of a link.

A key is SplitMix64's finaliser (Steele et al. 2014) over the CRC and the length of a folded text,
keyed by the stream. Keys are made to count with: 100,000 different texts of one length have about
one pair that is taken for copies, and somebody who wants such a pair can make it.
"""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Iterable
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_SPACE: Final = bytes(range(1, 33))
_FOLDED: Final = bytes.maketrans(
    string.digits.encode() + string.ascii_uppercase.encode(),
    b"0" * 10 + string.ascii_lowercase.encode(),
)


_FOREIGN: Final = re.compile(r"[^\0-\x7f]+")


def _lower(found: re.Match[str]) -> str:
    return found[0].lower()


def of_texts(texts: Iterable[str], stream: str) -> Keys:
    """Return the key of each text, uint64 [n]."""
    # Most texts are ASCII without a URL, and then one pass over their bytes does it all.
    folded = (
        text.encode().translate(_FOLDED, _SPACE)
        if text.isascii() and ":" not in text
        else _fold(text)
        for text in texts
    )
    return _keys(folded, stream)


def of_contents(contents: Iterable[bytes], stream: str) -> Keys:
    """Return the key of each content, which is taken as it is, uint64 [n]."""
    return _keys(contents, stream)


def _fold(text: str) -> bytes:
    if ":" in text and "://" in text:
        text = _with_hosts(text)
    if not text.isascii():
        # Of most such texts little is not ASCII: to lower that alone takes a fifth of the time.
        text = _FOREIGN.sub(_lower, unicodedata.normalize("NFKC", text))
    return text.encode("utf-8", "surrogatepass").translate(_FOLDED, _SPACE)


def _with_hosts(text: str) -> str:
    """Cut each URL behind its host. Without a pattern: that takes four times as long."""
    parts, rest = list[str](), text.replace("\n", " ")
    while rest:
        before, _, rest = rest.partition("://")
        address, space, rest = rest.partition(" ")
        parts += [before, address.partition("/")[0].partition("?")[0], space]
    return "".join(parts)


def _keys(contents: Iterable[bytes], stream: str) -> Keys:
    sums = [crc32(content) | len(content) << 32 for content in contents]
    name = hashlib.blake2b(stream.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return mixed(np.array(sums, dtype=np.uint64) + np.uint64(int.from_bytes(name, "little")))


def mixed(z: Keys) -> Keys:
    """Spread numbers over 64 bits, one to one."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
