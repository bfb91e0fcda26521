"""Which file is which: by its content, for names change hands when logs are rotated.

A file is known by its first bytes, and, once something of it was read, by the bytes just before the
place that it was read to. Both hold while it grows, is renamed, or is gzipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.content import Content

HEAD: Final = 1_024
"""The first bytes of a file, by which it is recognized."""

FOOTER: Final = 65_536
"""Parquet files do not grow. They are recognized by their footer, which locates everything else."""


def digest(content: bytes) -> str:
    """Return 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


class Mark(msgspec.Struct, frozen=True):
    """A place in a file: row ``offset`` begins at ``byte`` of the content, behind ``tail``."""

    offset: int
    byte: int
    tail: str
    """Digest of the last bytes before it."""

    def encode(self) -> str:
        """Return it as the database keeps it."""
        return msgspec.json.encode(self).decode()


def mark_of(text: str | None) -> Mark | None:
    """Read what ``encode`` wrote."""
    return None if text is None else msgspec.json.decode(text, type=Mark)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digest of the first ``size`` bytes of the content (of a Parquet file: of its end)."""

    size: int
    digest: str


@dataclass(frozen=True)
class FoundFile:
    """A file as it is now."""

    name: str
    """Relative to the folder of the stream file, as the pattern matched it."""
    path: Path
    format: str

    @cached_property
    def state(self) -> str:
        """Size and time of change: the same as before, and so is the content."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise SourceError(_unreadable(self.path, error)) from error
        return f"{found.st_size}:{found.st_mtime_ns}"

    @cached_property
    def head(self) -> bytes:
        """The bytes it is known by. Raises SourceError."""
        try:
            if self.format == "parquet":
                return _end_of(self.path)
            content = Content(self.path)
            try:
                while len(content.buffer) < HEAD and content.more():
                    pass
                return content.buffer[:HEAD]
            finally:
                content.close()
        except (OSError, EOFError) as error:
            raise SourceError(_unreadable(self.path, error)) from error

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Its fingerprint as of now."""
        # The end of an array moves when more is added to it.
        head = self.head.rstrip(b" \t\r\n]") if self.format == "json" else self.head
        return Fingerprint(len(head), digest(head))

    def begins_like(self, known: Fingerprint) -> bool:
        """Whether its first bytes are those of a file that was known."""
        if self.format == "parquet":
            return self.fingerprint == known
        return len(self.head) >= known.size and digest(self.head[: known.size]) == known.digest

    def holds(self, mark: Mark) -> bool:
        """Whether the bytes before a mark are what they were. Raises SourceError."""
        try:
            content = Content(self.path)
            try:
                content.seek(mark.byte)
                return digest(content.tail()) == mark.tail
            finally:
                content.close()
        except SourceError:  # it is shorter
            return False
        except (OSError, EOFError) as error:
            raise SourceError(_unreadable(self.path, error)) from error

    def is_shorter(self, mark: Mark) -> bool:
        """Whether it ends before a mark."""
        try:
            content = Content(self.path)
            try:
                content.seek(mark.byte)
            finally:
                content.close()
        except SourceError:
            return True
        except (OSError, EOFError) as error:
            raise SourceError(_unreadable(self.path, error)) from error
        return False


def _end_of(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - FOOTER))
        return b"%d " % size + file.read()


def _unreadable(path: Path, error: Exception) -> str:
    return f"cannot read {path}: {error}"


def place(content: Content, offset: int) -> Mark:
    """Return the mark of where a content stands."""
    return Mark(offset, content.position, digest(content.tail()))
