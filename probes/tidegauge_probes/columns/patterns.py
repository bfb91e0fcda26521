r"""Run regular expressions of Python's `re` on RE2, where both provably match the same.

A pattern is translated from `re`'s own parse tree to one over the bytes of ``texts.Texts``. What a
part for one character matches is not derived from rules: `re` is asked about every byte. Whatever
RE2 lacks or interprets differently (backreferences, lookaround, atomic groups, `$` inside, `\B`,
loops over nothing) is not translated; `re` itself runs then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from tidegauge_probes.columns.literals import required
from tidegauge_probes.columns.needles import Needle
from tidegauge_probes.columns.texts import (
    DIGIT,
    OTHER,
    STAND_INS,
    WORD,
    Integers,
    Mask,
    Texts,
    offsets_of,
)
from tidegauge_probes.compat import re_compiler as compiler
from tidegauge_probes.compat import re_constants as op
from tidegauge_probes.compat import re_parser as parser
from tidegauge_probes.lazy import LazyModule

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = LazyModule("pyarrow")
    pc = LazyModule("pyarrow.compute")

_COLUMNS: Final[WeakKeyDictionary[Texts, Any]] = WeakKeyDictionary()
"""Texts → their blob as an Arrow column, shared by all patterns; freed with the batch."""

_ASCII: Final = 128
_BYTES: Final = 256

MOST_REPEATS: Final = 200
"""With more counted repetitions, RE2's program is too large to be fast."""

WORTH_IT: Final = 16
"""With fewer texts, preparing RE2 takes longer than `re` does."""

_ASCII_WORDS: Final = [b for b in range(_ASCII) if re.match(r"\w", chr(b))]

_BORDERS: Final = tuple(map(str, parser.parse(r"(?<!\w)(?!\w)")))
_BOUNDARIES: Final = (str((op.AT, op.AT_BOUNDARY)),) * 2
_ENDS: Final = re.compile(r"\w(?:.*\w)?", re.DOTALL)

NOTHING: Final = r"[\xff]"
"""A byte that never occurs in a blob."""

_WANTED: Final = {code: chr(code) for code in range(_ASCII)} | STAND_INS


class Mode(Enum):
    """Which function of `re` is meant."""

    SEARCH = "search"
    MATCH = "match"
    FULLMATCH = "fullmatch"


class Reach(Enum):
    """Which texts RE2 may decide about (never those with a character of ODD)."""

    ALL = "all"
    NO_WORDS = "no word characters beyond ASCII"
    ASCII = "nothing beyond ASCII"


class _Untranslatable(Exception):  # noqa: N818  (a way out, not an error)
    """The pattern contains something that RE2 lacks or interprets differently."""


@dataclass(frozen=True)
class Translation:
    """A pattern for RE2 over bytes (Latin-1), and which texts it may decide about."""

    pattern: str
    reach: Reach
    table: bytes | None = None
    r"""Table for `bytes.translate`, if texts with word characters beyond ASCII need it: RE2's `\b`
    knows only ASCII word characters, so one that the pattern does not tell apart replaces them."""


@dataclass
class _Walk:
    """Walks over a parse tree, and finds out how far the translated pattern reaches."""

    mode: Mode
    ascii_only: bool = False
    boundaries: bool = False
    parts: list[Mask] = field(default_factory=list)

    def translation(self, pattern: str) -> Translation:
        if self.ascii_only:
            return Translation(pattern, Reach.ASCII)
        if not self.boundaries:
            return Translation(pattern, Reach.ALL)
        table = bytearray(range(_BYTES))
        for stand_in in (WORD, DIGIT):
            alike = (b for b in _ASCII_WORDS if all(p[b] == p[stand_in] for p in self.parts))
            table[stand_in] = next(alike, stand_in)
        if table[WORD] >= _ASCII or table[DIGIT] >= _ASCII:
            return Translation(pattern, Reach.NO_WORDS)
        return Translation(pattern, Reach.ALL, bytes(table))

    def sequence(self, items: Iterable[Any], flags: int, *, last: bool) -> str:
        """Translate parts one after another; *last*: nothing follows them in the pattern."""
        parts = list(items)
        ends = [last and n == len(parts) for n in range(1, len(parts) + 1)]
        return "".join(
            self.part(code, argument, flags, last=end)
            for (code, argument), end in zip(parts, ends, strict=True)
        )

    def part(self, code: Any, argument: Any, flags: int, *, last: bool) -> str:
        if code in {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}:
            return self.one(code, argument, flags)
        if code is op.BRANCH:
            branches = (self.sequence(b, flags, last=last) for b in argument[1])
            return f"(?:{'|'.join(branches)})"
        if code is op.SUBPATTERN:
            _, added, removed, body = argument
            if added & (re.ASCII | re.UNICODE):
                # `re.search(r"(?a:\W)$", "\r\u4e00")` finds nothing, `(?a:\W)\Z` not either,
                # though the last character fits: its search starts with the outer flags.
                raise _Untranslatable
            flags = compiler._combine_flags(flags, added, removed)  # noqa: SLF001  (its own rule)
            return f"(?:{self.sequence(body, flags, last=last)})"
        if code in {op.MAX_REPEAT, op.MIN_REPEAT}:
            least, most, body = argument
            return self.repeat(least, most, body, flags)
        if code is op.AT:
            return self.at(argument, flags, last=last)
        raise _Untranslatable

    def repeat(self, least: int, most: Any, body: Any, flags: int) -> str:
        endless = most is op.MAXREPEAT
        if (most > 1 and not body.getwidth()[0]) or (least if endless else most) > MOST_REPEATS:
            raise _Untranslatable
        inner = self.sequence(body, flags, last=False)
        return f"(?:{inner}){{{least},{'' if endless else most}}}"

    def at(self, where: Any, flags: int, *, last: bool) -> str:
        many = flags & re.MULTILINE
        if where is op.AT_BEGINNING:
            return "(?m:^)" if many else r"\A"
        if where is op.AT_BEGINNING_STRING:
            return r"\A"
        if where is op.AT_END_STRING:
            return r"\z"
        if where is op.AT_END and many:
            return "(?m:$)"
        if where is op.AT_END and last:
            # This is before a final newline. RE2 cannot look ahead, but it may match the newline.
            return "" if self.mode is Mode.FULLMATCH else r"\n?\z"
        if where is op.AT_BOUNDARY:
            self.boundaries |= not flags & re.ASCII
            return r"\b"
        raise _Untranslatable

    def one(self, code: Any, argument: Any, flags: int) -> str:
        """Translate a part that matches one character: `re` says which."""
        state = parser.State()
        state.flags = flags
        fits = compiler.compile(parser.SubPattern(state, [(code, argument)]), flags).fullmatch
        wanted = np.zeros(_BYTES, dtype=np.bool_)
        for byte, character in _WANTED.items():
            wanted[byte] = fits(character) is not None
        self.ascii_only |= _beyond_ascii(code, argument)
        wanted[OTHER:-1] = wanted[OTHER]  # the other bytes never occur, so this saves a range
        self.parts.append(wanted)
        return _class_of(wanted)


def _beyond_ascii(code: Any, argument: Any) -> bool:
    """Return whether a part names a character beyond ASCII, which stand-ins cannot tell apart."""
    if code in {op.LITERAL, op.NOT_LITERAL}:
        return bool(argument >= _ASCII)
    if code is op.RANGE:
        return bool(argument[1] >= _ASCII)
    return code is op.IN and any(_beyond_ascii(*part) for part in argument)


def _class_of(wanted: Mask) -> str:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    spans = edges.reshape(-1, 2).tolist()
    if not spans:
        return NOTHING
    return "[" + "".join(rf"\x{low:02x}-\x{high - 1:02x}" for low, high in spans) + "]"


@lru_cache(maxsize=4_096)
def translate(pattern: str, flags: int, mode: Mode) -> Translation | None:
    """Return the pattern for RE2, or None."""
    try:
        tree = parser.parse(pattern, flags)
        walk = _Walk(mode)
        inner = walk.sequence(tree, tree.state.flags, last=True)
        anchors = {Mode.SEARCH: ("", ""), Mode.MATCH: (r"\A", ""), Mode.FULLMATCH: (r"\A", r"\z")}
        before, after = anchors[mode]
        translated = f"{before}(?:{inner}){after}"
        pc.match_substring_regex(pa.array([b""], pa.large_binary()), translated)
    except (_Untranslatable, re.error, RecursionError, OverflowError, pa.ArrowInvalid):
        return None
    return walk.translation(translated)


@lru_cache(maxsize=4_096)
def whole_word(pattern: str, flags: int) -> str | None:
    r"""Return the ASCII word that `\bword\b` or `(?<!\w)word(?!\w)` searches for, or None."""
    try:
        tree = parser.parse(pattern, flags)
    except (re.error, RecursionError, OverflowError):
        return None
    if len(tree) < 3 or tree.state.flags != flags | re.UNICODE:  # noqa: PLR2004  (two borders)
        return None
    [before, *letters, after] = tree
    if any(code is not op.LITERAL or argument >= _ASCII for code, argument in letters):
        return None
    word = "".join(chr(argument) for _, argument in letters)
    borders = str(before), str(after)
    if borders == _BORDERS or (borders == _BOUNDARIES and _ENDS.fullmatch(word)):
        return word
    return None


def _decidable(texts: Texts, reach: Reach) -> Mask:
    if reach is Reach.ASCII:
        return texts.ascii
    return ~(texts.odd | texts.wordy) if reach is Reach.NO_WORDS else ~texts.odd


@dataclass(frozen=True)
class Pattern:
    """A pattern of `re`, to be searched in the texts of a column."""

    pattern: str
    flags: int = 0
    mode: Mode = Mode.SEARCH

    @property
    def _word(self) -> str | None:
        """The word that it searches for, if it does nothing else."""
        return whole_word(self.pattern, self.flags) if self.mode is Mode.SEARCH else None

    def needles(self, *, lowered: bool = False) -> tuple[Needle, ...]:
        """Return words of which every matching text contains one; none if they are unknown.

        *lowered*: the pattern is searched in lowered texts.
        """
        word, ignores_case = self._word, bool(self.flags & re.IGNORECASE)
        if word is not None:
            word = word.lower() if ignores_case else word
            return (Needle(word, lowered=lowered or ignores_case, whole=True),)
        return tuple(map(Needle, sorted(required(self.pattern, self.flags) or ())))

    def find(self, texts: Texts, hits: Sequence[Mask] = (), odd: Mask | None = None) -> Mask:
        """Return which texts it matches, bool [n].

        *hits*: which texts contain each of its ``needles``; unknown for texts that are *odd*.
        """
        found = np.zeros(len(texts), dtype=np.bool_)
        wanted = np.ones(len(texts), dtype=np.bool_)
        if hits and odd is not None:
            likely = np.logical_or.reduce(hits)
            wanted = odd if self._word is not None else likely | odd
            found = likely & ~odd if self._word is not None else found
        left = self._by_re2(texts, wanted, found)
        test = getattr(re.compile(self.pattern, self.flags), self.mode.value)
        for row, text in texts.where(left):
            found[row] = test(text) is not None
        return found

    def _by_re2(self, texts: Texts, wanted: Mask, found: Mask) -> Mask:
        """Decide about most of the *wanted* texts, and return the rest."""
        if np.count_nonzero(wanted) < WORTH_IT:
            return wanted
        translation = translate(self.pattern, self.flags, self.mode)
        if translation is None:
            return wanted
        decided = wanted & _decidable(texts, translation.reach)
        if translation.table is not None:
            special = np.flatnonzero(decided & texts.wordy)
            column = _column(texts, special, translation.table)
            found[special] = _search(column, translation.pattern)
            rows = np.flatnonzero(decided & ~texts.wordy)
        else:
            rows = np.flatnonzero(decided)
        found[rows] = _search(_column(texts, rows), translation.pattern)
        return wanted & ~decided


def _column(texts: Texts, rows: Integers, table: bytes | None = None) -> pa.LargeBinaryArray:
    """Return rows of the blob as an Arrow column, after `bytes.translate` if *table* is given."""
    if texts not in _COLUMNS:
        _COLUMNS[texts] = _arrow(texts.offsets, texts.blob)
    whole = _COLUMNS[texts]
    if table is None and len(rows) == len(texts):
        return whole
    column = whole.take(pa.array(rows))
    if table is None:
        return column
    offsets = offsets_of(texts.lengths[rows])
    blob = column.buffers()[2].to_pybytes() if offsets[-1] else b""
    return _arrow(offsets, blob.translate(table))


def _arrow(offsets: Integers, blob: bytes) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(blob)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _search(column: pa.LargeBinaryArray, pattern: str) -> Mask:
    found: Mask = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
    return found
