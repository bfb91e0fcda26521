r"""A column of texts as one string of bytes, one byte per character, for whole-column work.

ASCII characters stand for themselves. Beyond ASCII, Python's `re` and `str.split` only ask whether
a character is a word character, a digit or white space, so each is replaced by a stand-in for its
kind. `Texts(["naïve 🙂"]).blob == b"na\x80ve \x83"`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

ODD: Final = "\u0130\u0131\u017f\u212a"
"""Characters beyond ASCII that match an ASCII letter when case is ignored: i twice, s, k."""

WORD, DIGIT, SPACE, OTHER, ODD_ONE = 0x80, 0x81, 0x82, 0x83, 0x84
"""Stand-ins: a letter or non-decimal number, a decimal, white space, the rest, one of ODD."""

STAND_INS: Final = {WORD: "\u4e00", DIGIT: "\u0663", SPACE: "\u2003", OTHER: "\u2192"}
"""Stand-ins that say everything about a character, each with one character that it stands for."""

_ASCII: Final = 128
_MOST: Final = 0x110000
_IS_SPACE: Final = np.array([b == SPACE or (b < _ASCII and chr(b).isspace()) for b in range(256)])
_IS_WORD: Final = np.array(
    [
        b in {WORD, DIGIT, ODD_ONE} or (b < _ASCII and (chr(b).isalnum() or b == ord("_")))
        for b in range(256)
    ]
)
"""Tables of bytes: bool [256]."""


@cache
def _kinds() -> Bytes:
    """Return the stand-in of each code point, as `re` itself tells them apart."""
    kinds = np.full(_MOST, OTHER, dtype=np.uint8)
    every = "".join(map(chr, range(_MOST)))
    for pattern, stand_in in ((r"\w+", WORD), (r"\d+", DIGIT), (r"\s+", SPACE)):
        for match in re.finditer(pattern, every):
            kinds[match.start() : match.end()] = stand_in
    kinds[:_ASCII] = np.arange(_ASCII)
    kinds[[ord(letter) for letter in ODD]] = ODD_ONE
    return kinds


def offsets_of(lengths: Integers) -> Integers:
    """Return where texts of these lengths start, and where the last ends, int64 [n + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


class Texts:
    """*n* texts; anything that is not a `str` counts as an empty one."""

    def __init__(self, values: Sequence[Any], *, sure: bool = False) -> None:
        """Take the values; *sure*: all of them are `str`, so no check is needed."""
        self.values: Sequence[str] = (
            values if sure else [value if type(value) is str else "" for value in values]
        )

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def lengths(self) -> Integers:
        """Number of characters in each text, int64 [n]."""
        return np.array(list(map(len, self.values)), dtype=np.int64)

    @cached_property
    def offsets(self) -> Integers:
        """Where each text starts in the blob, and where the last ends, int64 [n + 1]."""
        return offsets_of(self.lengths)

    @cached_property
    def ascii(self) -> Mask:
        """Which texts contain only ASCII, bool [n]."""
        found = map(str.isascii, self.values)
        return np.fromiter(found, dtype=np.bool_, count=len(self.values))

    @cached_property
    def beyond(self) -> Integers:
        """The rows of the texts that are not ASCII."""
        return np.flatnonzero(~self.ascii)

    @cached_property
    def _replaced(self) -> tuple[list[int], Bytes, Integers]:
        """Return the rows beyond ASCII, their stand-ins, and where each row's stand-ins start."""
        rows: list[int] = self.beyond.tolist()
        whole = "".join([self.values[row] for row in rows]).encode("utf-32-le", "surrogatepass")
        kinds = _kinds()[np.frombuffer(whole, dtype="<u4")]
        lengths = self.lengths[self.beyond]
        return rows, kinds, np.cumsum(lengths) - lengths

    def _with(self, *stand_ins: int) -> Mask:
        """Return which texts contain one of the stand-ins, bool [n]."""
        mask = np.zeros(len(self), dtype=np.bool_)
        if len(self.beyond):
            rows, kinds, starts = self._replaced
            mask[rows] = np.logical_or.reduceat(np.isin(kinds, stand_ins), starts)
        return mask

    @cached_property
    def odd(self) -> Mask:
        """Which texts contain a character on which `lower` and `re` disagree, bool [n]."""
        return self._with(ODD_ONE)

    @cached_property
    def wordy(self) -> Mask:
        """Which texts contain a word character beyond ASCII, bool [n]."""
        return self._with(WORD, DIGIT, ODD_ONE)

    @cached_property
    def blob(self) -> bytes:
        """All texts, one after another."""
        if not len(self.beyond):
            return "".join(self.values).encode()
        rows, kinds, starts = self._replaced
        stand_ins = kinds.tobytes().decode("latin-1")
        values = list(self.values)
        for row, start in zip(rows, starts.tolist(), strict=True):
            values[row] = stand_ins[start : start + len(values[row])]
        return "".join(values).encode("latin-1")

    @cached_property
    def _codes(self) -> Bytes:
        return np.frombuffer(self.blob, dtype=np.uint8)

    @cached_property
    def lowered_blob(self) -> bytes:
        """The blob with ASCII letters in lower case, for texts without characters of ODD."""
        return self.blob.lower()

    @cached_property
    def words(self) -> Integers:
        """Number of words that `str.split` finds in each text, int64 [n]."""
        space = self._codes <= ord(" ")
        control = np.flatnonzero(self._codes < ord(" "))  # few, so comparing beats a table
        space[control] = _IS_SPACE[self._codes[control]]
        if len(self.beyond):
            space |= self._codes == SPACE
        # A word starts after white space: in " ab c" at 1 and 4. The comparison says nothing about
        # the first character of a text, which follows the last one of another text.
        begins = np.empty(len(space), dtype=np.bool_)
        begins[1:] = space[:-1] > space[1:]
        firsts = self.offsets[:-1][self.lengths > 0]
        begins[firsts] = ~space[firsts]
        return np.diff(np.searchsorted(np.flatnonzero(begins), self.offsets))

    @cached_property
    def lowered(self) -> Texts:
        """The texts after `str.lower`."""
        return Texts([text.lower() for text in self.values], sure=True)

    def rows_of(self, positions: Integers) -> Integers:
        """Return the row that each position of the blob belongs to."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def alone(self, starts: Integers, ends: Integers, rows: Integers) -> Mask:
        """Return which spans of the blob have no word character next to them in the same text."""
        codes, last = self._codes, len(self.blob) - 1
        before = (starts > self.offsets[rows]) & _IS_WORD[codes[starts - 1]]
        after = (ends < self.offsets[rows + 1]) & _IS_WORD[codes[np.minimum(ends, last)]]
        return np.asarray(~(before | after))

    def where(self, mask: Mask) -> list[tuple[int, str]]:
        """Return the rows and texts that *mask* selects."""
        return [(row, self.values[row]) for row in np.flatnonzero(mask).tolist()]
