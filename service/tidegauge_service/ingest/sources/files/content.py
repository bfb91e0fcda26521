"""The bytes of one file, decompressed, read in pieces: memory depends on limits, not on the file.

Positions count bytes of the content: a log that is gzipped when it is rotated keeps them.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from tidegauge_service.errors import SourceError

TAIL: Final = 1_024
"""Bytes before a position that are compared to detect whether the content was replaced."""

CHUNK: Final = 256 * 1_024

_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def is_gzip(path: Path) -> bool:
    """Tell by the name."""
    return path.suffix.lower() == ".gz"


class Content:
    """Reads lines of limited length, and remembers what came just before.

    ``buffer[at:]`` is not taken yet; the bytes before ``at`` are the tail, and whatever is held
    for a second look (``hold``). ``base`` is the position of ``buffer[0]``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grows = not is_gzip(path)
        """Whether more may still be appended to an unfinished last line."""
        self._file = gzip.open(path, "rb") if is_gzip(path) else path.open("rb")  # noqa: SIM115  (``close``)
        self.buffer = b""
        self.base = 0
        self.at = 0
        self._held: int | None = None

    @property
    def position(self) -> int:
        """The position of the next byte."""
        return self.base + self.at

    @property
    def end(self) -> int:
        """The position after the last byte that was read from the file."""
        return self.base + len(self.buffer)

    def start(self) -> None:
        """Pass the byte order mark, if there is one; SourceError if it is that of UTF-16."""
        self.more()
        if self.buffer.startswith(_UTF16):
            msg = (
                f"cannot read {self.path}: it is UTF-16. Convert it with `iconv -f utf-16 -t utf-8`"
            )
            raise SourceError(msg)
        if self.buffer.startswith(_BOM):
            self.at = len(_BOM)

    def seek(self, position: int) -> None:
        """Go to a position, with the bytes before it as the tail; SourceError beyond the end."""
        self.base = max(0, position - TAIL)
        self._file.seek(self.base)
        self.buffer = self._file.read(position - self.base)
        self.at, self._held = len(self.buffer), None
        if self.position < position:
            msg = (
                f"cannot read {self.path}: it ends before byte {position}, up to which "
                "it was already read"
            )
            raise SourceError(msg)

    def pass_line_end(self) -> None:
        """Go past the end of a line that was taken before it had one."""
        if not self.position or self.buffer[self.at - 1 : self.at] == b"\n":
            return
        while self.end - self.position < len(b"\r\n") and self.more():
            pass
        for line_end in (b"\r\n", b"\n"):
            if self.buffer.startswith(line_end, self.at):
                self.at += len(line_end)
                return

    def tail(self) -> bytes:
        """Return the last bytes before the position."""
        return self.buffer[max(0, self.at - TAIL) : self.at]

    def hold(self, position: int) -> None:
        """Keep what comes from a position on in memory, to be able to go back (``back``)."""
        self._held = position

    def release(self) -> None:
        """Release what is held."""
        self._held = None

    def back(self, position: int) -> None:
        """Go back to a position that is held."""
        self.at = position - self.base

    def between(self, start: int, end: int) -> bytes:
        """Return bytes that are held, or not taken yet."""
        return self.buffer[start - self.base : end - self.base]

    def more(self) -> bool:
        """Read on in the file; whether there was anything."""
        found = self._file.read(CHUNK)
        if not found:
            return False
        keep = self.position if self._held is None else min(self._held, self.position)
        first = max(0, min(keep - self.base, self.at - 2 * TAIL))
        self.buffer = self.buffer[first:] + found
        self.base += first
        self.at -= first
        return True

    def line(self, most: int) -> tuple[bytes, int, bool] | None:
        """Take a line: its bytes without the end, their number, and whether the end was there.

        Of a line longer than *most* only the beginning is returned. While something is held, it is
        not even read to its end: memory is limited, and the caller will go back. None at the end.
        """
        found = self.buffer.find(b"\n", self.at)
        if found < 0:
            return self._long_line(most)
        line = self.buffer[self.at : found]
        self.at = found + 1
        return line, len(line), True

    def _long_line(self, most: int) -> tuple[bytes, int, bool] | None:
        head: bytes | None = None  # of a line of which no more is kept
        size, searched = 0, self.end
        while True:
            if head is None and self.end - self.position > most:
                head = self.buffer[self.at : self.at + most]
            if head is not None:
                size += len(self.buffer) - self.at
                self.at = len(self.buffer)
                if self._held is not None:
                    return head, size, True
            if not self.more():
                break
            found = self.buffer.find(b"\n", searched - self.base)
            if found >= 0:
                return self._taken(head, size, found, ended=True)
            searched = self.end
        if self.at == len(self.buffer) and not size:
            return None
        return self._taken(head, size, len(self.buffer), ended=False)

    def _taken(
        self, head: bytes | None, size: int, until: int, *, ended: bool
    ) -> tuple[bytes, int, bool]:
        line = self.buffer[self.at : until] if head is None else head
        size += until - self.at
        self.at = until + ended
        return line, size, ended

    def close(self) -> None:
        """Close the file."""
        self._file.close()
