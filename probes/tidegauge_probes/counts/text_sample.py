"""A sample of the distinct texts of a window, with what the LFs said of each.

Adaptive sampling (Wegman; Flajolet 1990): a text is in the sample of level L if the first L bits of
its key are zero, whatever else there is. When more than ``MOST_TEXTS`` are in it, the level rises.
Up to that many the sample is all distinct texts; beyond, every text has the same chance 2⁻ᴸ to be
in it, however often it comes. So the sample of two parts of a window is the same in whatever order,
and by whatever partitions and batches, they were counted.

Worked example with room for two: of keys 0.2, 0.7, 0.2 and 0.9 (as fractions of 2⁶⁴) the third text
is too many, so the level rises to 1, and what stays is 0.2, which came twice. Of the window's
distinct texts we say that there are about 1 · 2¹.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.text_keys import Keys, mixed
from tidegauge_probes.errors import CountsError
from tidegauge_probes.model import ABSTAIN, ERROR, Outcomes

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_TEXTS: Final = 4_096
"""Distinct texts that a sample holds. A window of so many says all that there is to know of an LF
that votes on 5 % and varies by a tenth from window to window: then n_eff is 2,100."""

_BITS: Final = 64
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<3sBBII")  # magic, version, level, texts, LFs
_MAGIC: Final = b"TGT"


MOST_FREQUENT: Final = 3


@dataclass(frozen=True, slots=True)
class FrequentText:
    """A text that came more than once. ``outcomes``: int8 [m], what each LF said of it."""

    key: int
    copies: int
    outcomes: bytes

    @property
    def name(self) -> str:
        """Its key as people read it: 16 hex digits."""
        return f"{self.key:016x}"


@dataclass(frozen=True, eq=False)
class TextSample:
    """Distinct texts by their keys, in ascending order.

    ``keys``: uint64 [d], below 2^(64 − level). ``copies``: int64 [d], how often each came.
    ``outcomes``: int8 [d, m]; where LFs said different things of copies, those of one copy.
    ``segments``: names in order; ``members``: bool [d, s], whether a text came in a segment.
    """

    level: int
    keys: Keys
    copies: Ints
    outcomes: Outcomes
    segments: tuple[str, ...]
    members: Mask

    @classmethod
    def of(
        cls, keys: Keys, outcomes: Outcomes, segments: Mapping[str, Mask], level: int = 0
    ) -> TextSample:
        """Sample records: their keys [n], outcomes [n, m], and which are in which segment.

        *level*: of a sample that this one will be added to; what is not in that is left out here.
        """
        names = tuple(sorted(segments))
        members = np.zeros((len(keys), len(names)), dtype=np.bool_)
        for j, name in enumerate(names):
            members[:, j] = segments[name]
        once = np.ones(len(keys), dtype=np.int64)
        every = cls(0, keys, once, outcomes, names, members)
        return every.at_level(level).merged().fitting()

    def __add__(self, other: TextSample) -> TextSample:
        """Return the sample of both."""
        names = self.segments
        if names != other.segments:
            names = tuple(sorted({*self.segments, *other.segments}))
        level = max(self.level, other.level)
        both = [part.at_level(level).with_segments(names) for part in (self, other)]
        if not len(both[1].keys):
            return both[0]
        parts = {name: np.concatenate([getattr(part, name) for part in both]) for name in _BY_TEXT}
        return TextSample(level=level, segments=names, **parts).merged().fitting()

    def __eq__(self, other: object) -> bool:
        """Equal samples encode to equal bytes."""
        return isinstance(other, TextSample) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    @property
    def texts(self) -> int:
        """How many distinct texts there are, all or about all."""
        return len(self.keys) << self.level

    def frequent(self) -> tuple[FrequentText, ...]:
        """Return the texts that came most often, at most ``MOST_FREQUENT``."""
        order = np.lexsort((self.keys, -self.copies))[:MOST_FREQUENT].tolist()
        return tuple(
            FrequentText(int(self.keys[i]), int(self.copies[i]), self.outcomes[i].tobytes())
            for i in order
            if self.copies[i] > 1
        )

    def at_level(self, level: int) -> TextSample:
        """Leave out the texts that are not in a sample of that level."""
        if level <= self.level:
            return self
        kept = np.flatnonzero(self.keys >> np.uint64(_BITS - level) == 0)
        return replace(self[kept], level=level)

    def __getitem__(self, rows: Ints) -> TextSample:
        parts = {name: getattr(self, name)[rows] for name in _BY_TEXT}
        return TextSample(level=self.level, segments=self.segments, **parts)

    def with_segments(self, names: tuple[str, ...]) -> TextSample:
        if names == self.segments:
            return self
        members = np.zeros((len(self.keys), len(names)), dtype=np.bool_)
        members[:, [names.index(name) for name in self.segments]] = self.members
        return replace(self, segments=names, members=members)

    def merged(self) -> TextSample:
        """Put copies together."""
        order = np.argsort(self.keys, kind="stable")
        ordered = self[order]
        new = np.diff(ordered.keys, prepend=ordered.keys[:1] + np.uint64(1)) != 0
        begins = np.flatnonzero(new)
        if len(begins) == len(order):
            return ordered
        first = ordered[_chosen(ordered, new)]
        return replace(
            first,
            copies=np.add.reduceat(ordered.copies, begins),
            members=np.logical_or.reduceat(ordered.members, begins, axis=0),
        )

    def fitting(self) -> TextSample:
        """Raise the level until there is room for all."""
        fitting = self
        while len(fitting.keys) > MOST_TEXTS:
            fitting = fitting.at_level(fitting.level + 1)
        return fitting

    def encode(self) -> bytes:
        """Return the versioned, little-endian form; equal samples, equal bytes."""
        used = np.flatnonzero(self.members.any(axis=0))
        names = [self.segments[j] for j in used.tolist()]
        voted, failed = self.outcomes > ABSTAIN, self.outcomes == ERROR
        parts = [
            self.keys.astype("<u8").tobytes(),
            self.copies.astype("<u4").tobytes(),
            np.packbits(voted).tobytes(),
            np.packbits(failed).tobytes() if failed.any() else b"",
            self.outcomes[voted].tobytes(),
            np.packbits(self.members[:, used]).tobytes(),
        ]
        head = _HEADER.pack(_MAGIC, _VERSION, self.level, *self.outcomes.shape)
        # Not compressed: it is written with every batch, and dropped when the window is evaluated.
        return head + msgspec.msgpack.encode([names, *parts])


_BY_TEXT: Final = ("keys", "copies", "outcomes", "members")


def _chosen(ordered: TextSample, new: Mask) -> Ints:
    """Return the row of each text whose outcomes stand for all its copies.

    It is drawn by a hash of the outcomes and the key: in any order the same one, and neither votes
    nor abstains are favoured.
    """
    text = np.cumsum(new) - 1
    shared = np.flatnonzero(np.bincount(text)[text] > 1)
    lots = np.zeros(len(text), dtype=np.uint64)
    powers = np.cumprod(np.full(ordered.outcomes.shape[1], 0x9E3779B97F4A7C15, dtype=np.uint64))
    votes = np.asarray(ordered.outcomes[shared].view(np.uint8).astype(np.uint64) @ powers)
    lots[shared] = mixed(mixed(votes.astype(np.uint64)) ^ ordered.keys[shared])
    order = np.lexsort((lots, text))
    return np.asarray(order[np.flatnonzero(new)])


def decode(encoded: bytes) -> TextSample:
    """Read what ``encode`` wrote; CountsError for anything else."""
    try:
        magic, version, level, texts, lfs = _HEADER.unpack_from(encoded)
        names, keys, copies, voted, failed, votes, members = msgspec.msgpack.decode(
            encoded[_HEADER.size :], type=_Body
        )
        outcomes = np.full((texts, lfs), ABSTAIN, dtype=np.int8)
        if failed:
            outcomes[_unpacked(failed, outcomes.shape)] = ERROR
        outcomes[_unpacked(voted, outcomes.shape)] = np.frombuffer(votes, dtype=np.int8)
        sample = TextSample(
            level,
            np.frombuffer(keys, dtype="<u8").astype(np.uint64).reshape(texts),
            np.frombuffer(copies, dtype="<u4").astype(np.int64).reshape(texts),
            outcomes,
            tuple(names),
            _unpacked(members, (texts, len(names))),
        )
    except (struct.error, msgspec.MsgspecError, ValueError) as error:
        msg = f"a stored sample of texts is broken ({error}): restore the database"
        raise CountsError(msg) from error
    if (magic, version) != (_MAGIC, _VERSION):
        msg = f"a stored sample of texts is broken (it begins with {magic!r}, version {version})"
        raise CountsError(msg)
    return sample


_Body = tuple[Sequence[str], bytes, bytes, bytes, bytes, bytes, bytes]


def _unpacked(bits: bytes, shape: tuple[int, int]) -> Mask:
    flat = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.bool_)
