"""`.json` files: JSON lines after all, or one array, or objects that span lines.

An array may be larger than memory, so it is split by its brackets and not decoded as a whole. The
elements stay bytes: the codec checks each, as it checks lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tidegauge_service.ingest.sources.files.content import TAIL, Content
from tidegauge_service.ingest.sources.files.lines import read_lines
from tidegauge_service.ingest.sources.files.rows import (
    FileRow,
    is_json,
    leave_unfinished,
    too_large,
)

_STRUCTURE: Final = re.compile(rb'[\[\]{},"]')
_IN_TEXT: Final = re.compile(rb'["\\]')
_SPACE: Final = b" \t\r\n"


def holds_lines(content: Content, most: int) -> bool:
    """Whether a file's first line that is not blank is JSON, and no array; from its start."""
    while True:
        start = content.position
        found = content.line(most)
        if found is None:
            return True
        line, size, _ = found
        if not line.isspace() and line:
            content.seek(start)
            return size == len(line) and not line.lstrip().startswith(b"[") and is_json(line)


def read_json(content: Content, most: int) -> Iterator[FileRow]:
    """Yield the objects of a `.json` file, from its start."""
    if holds_lines(content, most):
        content.seek(0)
        content.start()
        return read_lines(content, most)
    return read_elements(content, most)


def read_elements(content: Content, most: int) -> Iterator[FileRow]:
    """Yield the elements of an array, or objects that stand one after another.

    A last one that is not closed may still be being written, and is left.
    """
    scan, last = _Scan(content, most), content.position
    while (row := scan.element()) is not None:
        if row.size:
            last = content.position
            yield row
    if last - TAIL > content.base or not content.base:
        content.back(last)  # so that an array to which more is added is known by what was read


class _Scan:
    """Finds where elements end.

    ``level`` is 1 within the array and 0 outside. With ``[{"a": "}"}, 7]`` the elements are
    ``{"a": "}"}`` and ``7``: brackets within texts do not count.
    """

    def __init__(self, content: Content, most: int) -> None:
        self._content = content
        self._most = most
        self._level = self._enter()
        self._head = b""
        """The beginning of an element that is too large."""

    def _enter(self) -> int:
        content = self._content
        while content.at < len(content.buffer) or content.more():
            if content.buffer[content.at] not in _SPACE:
                break
            content.at += 1
        inside = content.buffer.startswith(b"[", content.at)
        content.at += inside
        return int(inside)

    def element(self) -> FileRow | None:
        """Return the next element (of size 0: there is nothing between two commas)."""
        start = self._content.position
        depth, self._head = self._level, b""
        self._content.hold(start)
        for token, at in self._structure(start):
            if token in b"[{":
                depth += 1
            elif token == b"," and depth == self._level:
                return self._row(start, at, after=at + 1)
            elif token != b"," and depth > 1:
                depth -= 1
            elif token != b",":
                return self._closed(start, at)
        return self._last(start)

    def _closed(self, start: int, at: int) -> FileRow:
        """Return what a bracket ends: an object outside of arrays, or the array itself."""
        if not self._level:
            return self._row(start, at + 1, after=at + 1)
        element = b"" if self._head else self._content.between(start, at).rstrip(_SPACE)
        if self._head or element:  # the bracket is left for the next call
            return self._row(start, at, after=at if self._head else start + len(element))
        self._level = 0
        return self._row(start, at, after=at + 1)

    def _structure(self, start: int) -> Iterator[tuple[bytes, int]]:
        """Yield brackets and commas that are not in texts, and where they are."""
        content, searched, in_text = self._content, start, False
        while True:
            pattern = _IN_TEXT if in_text else _STRUCTURE
            found = pattern.search(content.buffer, searched - content.base)
            if found is None:
                searched = max(searched, content.end)
                if not self._more(start, searched):
                    return
                continue
            token, at = found.group(), content.base + found.start()
            searched = at + 1
            if in_text:
                in_text = token != b'"'
                searched += token == b"\\"
            elif token == b'"':
                in_text = True
            else:
                yield token, at

    def _more(self, start: int, searched: int) -> bool:
        """Read on; of an element that is too large only the beginning is kept in memory."""
        content = self._content
        if not self._head and searched - start > self._most:
            self._head = content.between(start, start + self._most)
            content.release()
        if self._head:
            content.at = len(content.buffer)
        return content.more()

    def _row(self, start: int, end: int, *, after: int) -> FileRow:
        content = self._content
        size = end - start
        value = self._head or content.between(start, end)
        content.at = after - content.base
        if size > self._most:
            return too_large(value[: self._most], size, self._most)
        value = value.strip(_SPACE)
        return FileRow(value, len(value))

    def _last(self, start: int) -> FileRow | None:
        content = self._content
        row = self._row(start, content.end, after=content.end)
        if not row.size:
            return None
        if content.grows and not (row.fault is None and is_json(row.value)):  # type: ignore[arg-type]
            leave_unfinished(content, start, row.size)
            return None
        return row
