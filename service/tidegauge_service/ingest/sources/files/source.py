"""The source: files of a pattern, read one after another in the natural order of their names."""

from __future__ import annotations

import csv
import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.files.content import Content
from tidegauge_service.ingest.sources.files.identity import FoundFile, Mark, place
from tidegauge_service.ingest.sources.files.kinds import Options, can_resume, format_of, open_rows
from tidegauge_service.ingest.sources.files.rows import FileRow
from tidegauge_service.ingest.sources.source import Polled, Raw


@dataclass
class _Open:
    """A file that is being read."""

    offset: int
    rows: Iterator[FileRow]
    content: Content | None
    marks: list[Mark] = field(default_factory=list)
    ended: bool = False

    def close(self) -> None:
        """Close the file; its marks stay."""
        if self.content is not None:
            self.content.close()
        self.content, self.rows = None, iter(())


class FileReader:
    """Reads the files of a pattern.

    Their partitions are 0, 1, … in the order of their names, until ``number`` gives others.
    """

    def __init__(
        self,
        pattern: str,
        folder: Path,
        options: Options = Options(),  # noqa: B008
        *,
        missing: str = "check source.path in the stream file",
    ) -> None:
        """List the files; SourceError if one has no known format, or if there is none.

        *missing*: what to do then.
        """
        self._options = options
        self.files = [
            FoundFile(name, folder / name, format_of(folder / name, options))
            for name in _matching(pattern, folder)
        ]
        if not self.files:
            searched = (folder / pattern).absolute()
            msg = f"no file matches '{searched.name}' in {searched.parent}: {missing}"
            raise SourceError(msg)
        self._files = dict(enumerate(self.files))
        self._order = list(self._files)
        self._known: dict[int, Mark] = {}
        self._open: dict[int, _Open] = {}
        self._sought: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._allowed = options.batch_bytes
        self._announced = False

    def number(self, files: Mapping[int, FoundFile], marks: Mapping[int, Mark]) -> None:
        """Give the files the numbers of their partitions, and where each was read to."""
        order = {file.name: i for i, file in enumerate(self.files)}
        self._files = dict(files)
        self._order = sorted(files, key=lambda p: order[files[p].name])
        self._known = dict(marks)

    def beginnings(self) -> dict[int, int]:
        """Return the files, each starting at row 0."""
        return dict.fromkeys(self._order, 0)

    def allow(self, max_bytes: int) -> None:
        """Let the next polls stop at the first row that reaches so many bytes."""
        self._allowed = max_bytes

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the next rows of the first file that has any."""
        del timeout_s  # a file never keeps one waiting
        if not self._announced:
            self._announced = True
            return Polled(gained=frozenset(self._order))
        reached: dict[int, int] = {}
        for partition in self._order:
            if partition in self._ends:
                continue
            inputs, ended = self._read(partition, max_records)
            reached[partition] = self._sought.get(partition, 0)
            if inputs or not ended:
                return Polled(inputs, reached=reached)
        return Polled(reached=reached)

    def batches(self, max_records: int) -> Iterator[Sequence[Raw]]:
        """Yield the rows of all files, for those who keep no position. Raises SourceError."""
        for partition in self._order:
            ended = False
            while not ended:
                inputs, ended = self._read(partition, max_records)
                self.report({partition: self._sought[partition]})
                if inputs:
                    yield inputs

    def _read(self, partition: int, max_records: int) -> tuple[list[Raw], bool]:
        """Return rows of one file, and whether it has ended."""
        try:
            opened = self._opened(partition)
            inputs = _take(opened, partition, max_records, self._allowed)
        except (OSError, EOFError, csv.Error, pa.ArrowException, SourceError) as error:
            # A generator that raised looks exhausted from now on: as if the file ended here.
            self._drop(partition)
            if isinstance(error, SourceError):
                raise
            msg = f"cannot read {self._files[partition].path}: {error}"
            raise SourceError(msg) from error
        self._sought[partition] = opened.offset
        if opened.content is not None:
            opened.marks.append(place(opened.content, opened.offset))
        if opened.ended:
            self._ends[partition] = opened.offset
            opened.close()
        return inputs, opened.ended

    def _opened(self, partition: int) -> _Open:
        if partition not in self._open:
            offset, file = self._sought.get(partition, 0), self._files[partition]
            mark = self._known.get(partition)
            if mark is not None and (mark.offset > offset or not can_resume(file.format)):
                mark = None
            content, rows = open_rows(file.path, self._options, offset, mark)
            self._open[partition] = _Open(offset, rows, content)
        return self._open[partition]

    def mark(self, partition: int, offset: int) -> str | None:
        """Return a bookmark at *offset*, or before it."""
        known = [self._known[partition]] if partition in self._known else []
        read = self._open[partition].marks if partition in self._open else []
        fitting = [mark for mark in (*known, *read) if 0 < mark.offset <= offset]
        return fitting[-1].encode() if fitting else None

    def seek(self, partition: int, offset: int) -> None:
        """Continue a file at a row."""
        self.report({partition: offset})
        self._drop(partition)
        self._ends.pop(partition, None)
        self._sought[partition] = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the length of the files that were read to their end; others are unknown yet."""
        return {p: self._ends[p] for p in partitions if p in self._ends}

    def report(self, positions: Mapping[int, int]) -> None:
        """Forget the marks that nobody can go back to."""
        for partition, offset in positions.items():
            opened = self._open.get(partition)
            if opened is None:
                continue
            passed = [mark for mark in opened.marks if mark.offset <= offset]
            if passed:
                self._known[partition] = passed[-1]
                opened.marks = [mark for mark in opened.marks if mark.offset > offset]

    def _drop(self, partition: int) -> None:
        opened = self._open.pop(partition, None)
        if opened is not None:
            opened.close()

    def close(self) -> None:
        """Close the files."""
        for partition in list(self._open):
            self._drop(partition)


def _take(opened: _Open, partition: int, max_records: int, max_bytes: int) -> list[Raw]:
    """Return the next rows, up to the one that reaches *max_bytes*; blank ones only count."""
    inputs: list[Raw] = []
    spent = 0
    while len(inputs) < max_records and spent < max_bytes:
        row = next(opened.rows, None)
        if row is None:
            opened.ended = True
            break
        spent += row.size
        if row.value is not None:
            inputs.append(
                Raw(
                    partition,
                    opened.offset,
                    row.value,
                    None,
                    row.fault,
                    row.reason,
                    row.size if row.fault else None,
                )
            )
        opened.offset += 1
    return inputs


def _matching(pattern: str, folder: Path) -> list[str]:
    """Return the files of a pattern; a file of exactly that name is meant before any pattern."""
    if (folder / pattern).is_file():
        return [pattern]
    names = glob.glob(pattern, root_dir=folder)  # noqa: PTH207  (absolute patterns too)
    return sorted((name for name in names if not (folder / name).is_dir()), key=natural)


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts numbers by their value: day-2 before day-10.

    >>> sorted(["day-10", "day-2", "day-1b"], key=natural)
    ['day-1b', 'day-2', 'day-10']
    """
    parts = re.split(r"([0-9]+)", name)
    return (*((int(p), "") if p.isdigit() else (-1, p) for p in parts), (-2, name))
