"""Files of history as a source: each has a partition that the database has given it.

The files are those of ``FileSource``, one for each, so that every format reads here as it does
everywhere. They are finished: what ends is drained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from tidegauge_probes.model import Record
from tidegauge_service.clock import window_start
from tidegauge_service.ingest import lateness
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Polled, Raw

BATCH = 5_000


class HistoryFiles:
    """Reads files, one after the other, under the numbers they were given."""

    def __init__(self, paths: Mapping[int, Path]) -> None:
        """Open them; *paths* by partition. SourceError if one is missing or of no known format."""
        self._files = {partition: _open(path) for partition, path in paths.items()}
        self._announced = False

    def beginnings(self) -> dict[int, int]:
        """Return the files, each starting at row 0."""
        return dict.fromkeys(self._files, 0)

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Return the next rows of the first file that has any."""
        if not self._announced:
            self._announced = True
            return Polled(gained=frozenset(self._files))
        reached: dict[int, int] = {}
        for partition, file in self._files.items():
            if file.ends([0]):
                continue
            polled = file.poll(max_records, timeout_s)
            reached[partition] = polled.reached.get(0, 0)
            if polled.inputs or not file.ends([0]):
                inputs = [structs.replace(raw, partition=partition) for raw in polled.inputs]
                return Polled(inputs, reached=reached)
        return Polled(reached=reached)

    def seek(self, partition: int, offset: int) -> None:
        """Continue a file at a row."""
        self._files[partition].seek(0, offset)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the length of the files that were read to their end."""
        ends = {p: self._files[p].ends([0]) for p in partitions if p in self._files}
        return {p: end[0] for p, end in ends.items() if end}

    def report(self, positions: Mapping[int, int]) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def _open(path: Path) -> FileReader:
    source = FileReader(str(path.resolve()), Path())
    source.poll(0, 0)  # the announcement of its partition
    return source


@dataclass(frozen=True, slots=True)
class Survey:
    """What counting a file would do. Times are epoch milliseconds."""

    records: int = 0
    dead: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    closed: int = 0
    """Records whose windows are already closed."""
    disordered: int = 0
    """Other records that go back in time by more than the lateness."""


def survey(
    path: Path, codec: Codec, *, window_ms: int, lateness_ms: int, closed_ms: int | None
) -> Survey:
    """Read a file to its end without counting it; SourceError if it cannot be read."""
    found, latest = Survey(), None
    for inputs in _batches(path):
        decoded = [codec.decode(raw) for raw in inputs]
        records = [item for item in decoded if isinstance(item, Record)]
        given = {0: latest}
        late = lateness.sort_out(records, given, window_ms=window_ms, lateness_ms=lateness_ms).late
        by_window = late.get(0, {})
        missed = _missed(records, window_ms, closed_ms)
        both = sum(n for start, n in by_window.items() if start < (closed_ms or start))
        times = [record.timestamp_ms for record in records]
        latest = max(times, default=latest) if latest is None else max([latest, *times])
        found = Survey(
            found.records + len(records),
            found.dead + len(decoded) - len(records),
            min([*times, *_known(found.first_ms)], default=None),
            latest,
            found.closed + missed,
            found.disordered + sum(by_window.values()) - both,
        )
    return found


def _known(value: int | None) -> list[int]:
    return [] if value is None else [value]


def _missed(records: Sequence[Record], window_ms: int, closed_ms: int | None) -> int:
    if closed_ms is None:
        return 0
    return sum(window_start(record.timestamp_ms, window_ms) < closed_ms for record in records)


def _batches(path: Path) -> Iterator[Sequence[Raw]]:
    source = _open(path)
    try:
        while inputs := source.poll(BATCH, 0).inputs:
            yield inputs
    finally:
        source.close()
