"""A topic in memory, and members of its group that a test assigns partitions to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from tidegauge_service.errors import SourceError
from tidegauge_service.ingest.sources.source import Polled, Raw

Topic = Sequence[Sequence[bytes]]
"""Partition → its inputs."""


class MemorySource:
    """One member of a group.

    The test assigns; two members may hold one partition at a time, as they do when a member was
    thought dead and was not. ``fail_after`` lets the poll after
    that many others raise SourceError, once. ``on_poll`` is called before each.
    """

    def __init__(
        self,
        topic: Topic,
        assigned: Iterable[int] | None = None,
        *,
        on_poll: Callable[[], None] = lambda: None,
        most: int = 1_000_000,
    ) -> None:
        self.topic = topic
        self.reported: dict[int, int] = {}
        self.sought: list[tuple[int, int]] = []
        self.fail_after: int | None = None
        self.closed = False
        self._on_poll = on_poll
        self._most = most
        self._lock = threading.Lock()
        self._wanted = set(range(len(topic)) if assigned is None else assigned)
        self._again: set[int] = set()
        self._held: set[int] = set()
        self._at: dict[int, int] = {}

    def assign(self, partitions: Iterable[int]) -> None:
        """Say which partitions are this member's from the next poll on; any thread may."""
        with self._lock:
            self._wanted = set(partitions)

    def rebalance(self) -> None:
        """Take all partitions away and give them back between two polls."""
        with self._lock:
            self._again = set(self._held)

    def beginnings(self) -> dict[int, int]:
        return dict.fromkeys(range(len(self.topic)), 0)

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        del timeout_s
        self._on_poll()
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                self.fail_after = None
                msg = "the test lets this poll fail"
                raise SourceError(msg)
        gained, lost = self._changes()
        if gained or lost:
            return Polled(gained=gained, lost=lost)
        return Polled(self._next_inputs(min(max_records, self._most)))

    def _changes(self) -> tuple[frozenset[int], frozenset[int]]:
        with self._lock:
            wanted, again = set(self._wanted), self._again
            self._again = set()
        lost = (self._held - wanted) | again
        gained = (wanted - self._held) | (wanted & again)
        self._held = wanted
        for partition in lost | gained:
            self._at.pop(partition, None)
        return frozenset(gained), frozenset(lost)

    def _next_inputs(self, most: int) -> list[Raw]:
        """Take turns, record by record, so that batches hold several partitions."""
        inputs: list[Raw] = []
        while len(inputs) < most:
            before = len(inputs)
            for partition in sorted(self._at):
                offset = self._at[partition]
                if offset < len(self.topic[partition]) and len(inputs) < most:
                    inputs.append(Raw(partition, offset, self.topic[partition][offset]))
                    self._at[partition] = offset + 1
            if len(inputs) == before:
                break
        return inputs

    def seek(self, partition: int, offset: int) -> None:
        self.sought.append((partition, offset))
        if partition in self._held:
            self._at[partition] = offset

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        return {p: len(self.topic[p]) for p in partitions}

    def report(self, positions: Mapping[int, int]) -> None:
        self.reported.update(positions)

    def close(self) -> None:
        self.closed = True
