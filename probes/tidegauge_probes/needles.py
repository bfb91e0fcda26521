"""All words that templates look for in one field, found in one pass over a batch.

Aho and Corasick, "Efficient string matching" (1975), through ahocorasick-rs. The texts of a batch
are joined with a character that no word holds, so that no match spans two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
from ahocorasick_rs import BytesAhoCorasick

Mask = npt.NDArray[np.bool_]

_SEPARATOR: Final = "\0"

WORTH_IT: Final = 6
"""Words below which as many plain searches are as quick as the pass."""


class Needles:
    """Words, and where they occur. Words that hold a NUL, or no character at all, are left out."""

    def __init__(self, words: Iterable[str]) -> None:
        fit = sorted({word for word in words if word and _SEPARATOR not in word})
        self.columns = {word: column for column, word in enumerate(fit)}

    @cached_property
    def _automaton(self) -> BytesAhoCorasick:
        return BytesAhoCorasick([word.encode() for word in self.columns])

    def find(self, texts: Sequence[str]) -> Mask | None:
        """Return which text holds which word, bool [n, words].

        None where that cannot be told so: a text holds a NUL or a lone surrogate, or there are
        too few words for it to be worth it.
        """
        if len(self.columns) < WORTH_IT or not texts:
            return None
        try:
            joined = _SEPARATOR.join(texts).encode()
        except UnicodeEncodeError:
            return None
        ends = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == 0)
        if len(ends) != len(texts) - 1:
            return None
        matches = self._automaton.find_matches_as_indexes(joined, overlapping=True)
        flat = np.fromiter(chain.from_iterable(matches), dtype=np.int64, count=3 * len(matches))
        found = np.zeros((len(texts), len(self.columns)), dtype=np.bool_)
        found[np.searchsorted(ends, flat[1::3]), flat[0::3]] = True
        return found
