"""All words that templates look for in one field, found in one pass over a batch.

It uses Aho and Corasick, "Efficient string matching" (1975), through ahocorasick-rs, over the
joined texts of a batch (``texts.Texts``). Python handles what the pass cannot: texts with a
character whose lower case is odd, and words beyond ASCII in texts beyond ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np
from ahocorasick_rs import BytesAhoCorasick

from tidegauge_probes.columns.texts import Integers, Mask, Texts

Matches = tuple[Integers, Integers, Integers]
"""The word's index, its start and its end: int64 [matches] each."""

AT_ONCE: Final = 100
"""Number of texts processed in one pass."""


@dataclass(frozen=True, order=True)
class Needle:
    """A word to search for: in the texts as they are, or (*lowered*) in the lowered texts."""

    word: str
    lowered: bool = True
    whole: bool = False
    """Whether it must not be next to a word character."""

    def within(self, text: str) -> bool:
        """Return whether *text* contains it; *text* must be lowered if the needle is *lowered*."""
        if self.word not in text:
            return False
        return not self.whole or _whole(self.word)(text) is not None


@lru_cache(maxsize=4_096)
def _whole(word: str) -> Callable[[str], Any]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search


class _Pass:
    """The ASCII words of one blob; each stands for the columns of one or two needles."""

    def __init__(self, columns: dict[Needle, int], *, lowered: bool) -> None:
        fit = [needle for needle in columns if needle.lowered is lowered and needle.word.isascii()]
        words = sorted({needle.word for needle in fit}, key=lambda word: (len(word) == 1, word))
        self._lowered = lowered
        self._long = [word.encode() for word in words if len(word) > 1]
        # Found by comparing with the whole blob, since it may contain them very often.
        self._single = [ord(word) for word in words if len(word) == 1]
        self._anywhere = _columns_of(words, {n.word: columns[n] for n in fit if not n.whole})
        self._alone = _columns_of(words, {n.word: columns[n] for n in fit if n.whole})

    @cached_property
    def _automaton(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(self._long)

    def _pass(self, blob: bytes, edges: Sequence[int]) -> Matches:
        """Search the blob piece by piece, so that few matches are in memory at a time."""
        pieces = []
        view = memoryview(blob)
        for start, end in pairwise(edges):
            found = self._automaton.find_matches_as_indexes(view[start:end], overlapping=True)
            count = 3 * len(found)
            flat = np.fromiter(chain.from_iterable(found), dtype=np.int64, count=count)
            piece = flat.reshape(-1, 3)
            piece[:, 1:] += start
            pieces.append(piece)
        which, starts, ends = np.concatenate(pieces).T
        return which, starts, ends

    def _matches(self, texts: Texts) -> Iterator[Matches]:
        blob = texts.lowered_blob if self._lowered else texts.blob
        if self._long and blob:
            yield self._pass(blob, [*texts.offsets[:-1:AT_ONCE].tolist(), len(blob)])
        for number, character in enumerate(self._single, start=len(self._long)):
            starts = np.flatnonzero(np.frombuffer(blob, dtype=np.uint8) == character)
            yield np.full(len(starts), number), starts, starts + 1

    def mark(self, texts: Texts, found: Mask) -> None:
        """Write into *found*, bool [columns + 1, n]; the last row is for words not asked for."""
        for which, starts, ends in self._matches(texts):
            rows = texts.rows_of(starts)
            # The texts "fr" and "ee" are neighbours in the blob, where "free" is found.
            inside = ends <= texts.offsets[rows + 1]  # and not across the border of two texts
            found[self._anywhere[which[inside]], rows[inside]] = True
            columns = self._alone[which]
            kept = np.flatnonzero(inside & (columns >= 0))
            if len(kept):
                kept = kept[texts.alone(starts[kept], ends[kept], rows[kept])]
                found[columns[kept], rows[kept]] = True


def _columns_of(words: Sequence[str], columns: dict[str, int]) -> Integers:
    return np.array([columns.get(word, -1) for word in words], dtype=np.int64)


class Needles:
    """Words, and the texts that contain them."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        """Take the needles; their words have at least one character."""
        self.columns = {needle: column for column, needle in enumerate(sorted(set(needles)))}

    @cached_property
    def _passes(self) -> list[_Pass]:
        cases = {needle.lowered for needle in self.columns if needle.word.isascii()}
        return [_Pass(self.columns, lowered=lowered) for lowered in sorted(cases)]

    @cached_property
    def _foreign(self) -> list[Needle]:
        return [needle for needle in self.columns if not needle.word.isascii()]

    def find(self, texts: Texts) -> Mask:
        """Return which text contains which word, bool [needles, n]."""
        found = np.zeros((len(self.columns) + 1, len(texts)), dtype=np.bool_)
        for each in self._passes:
            each.mark(texts, found)
        if self._foreign:
            self._look(texts, ~texts.ascii, self._foreign, found)
        self._look(texts, texts.odd, [n for n in self.columns if n.lowered], found)
        return found[:-1]

    def _look(self, texts: Texts, mask: Mask, needles: Sequence[Needle], found: Mask) -> None:
        """Search with Python, in the texts that *mask* selects."""
        if not needles:
            return
        for row, text in texts.where(mask):
            low = text.lower()
            for needle in needles:
                found[self.columns[needle], row] = needle.within(low if needle.lowered else text)
