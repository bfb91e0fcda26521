"""Dead letters that decode now are counted now: exactly once, as one more partition's records.

The owners of the real partitions keep their panes in memory and replace them whole, so replays
write panes of their own, under the partition ``REPLAYED``. Its position is the number of dead
letters replayed so far, moved by compare-and-set like every other: of two replays at once one is
fenced, and a replay that is killed has done whole batches or nothing.

Worked example: (0, 7) and (0, 9) became dead letters because `record.timestamp` named a wrong
path. With the path mended both decode. One transaction moves the position of ``REPLAYED`` from 0
to 2, adds both to its pane of their window (or to the late count, if the window is closed), and
deletes both rows. A second replay that read them too finds the position at 2, and is fenced.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import structlog
from msgspec import structs

from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Record
from tidegauge_service.errors import Fenced
from tidegauge_service.ingest import transaction
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.deployed.open_deployments import fold
from tidegauge_service.ingest.deployed.probe_set_cache import ProbeSetCache
from tidegauge_service.ingest.samples import Samplers
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest import dead_letters, event_keys
from tidegauge_service.store.ingest.commit import PartitionBatch, PartitionState
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.ingest.dead_letters import DeadLetterFilter
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import REPLAYED

log = structlog.get_logger()

BATCH = 200
"""Dead letters a transaction replays at most: each may hold limits.dead_letter_bytes."""

CUT = "cut"
"""What is said of a dead letter of which only a part was kept."""


@dataclass
class Outcome:
    """What a replay did. ``counted`` holds ``late``; ``left`` are dead letters still, by reason.

    ``sent_again``: dead letters still, too. An event with the same id was appended after them.
    """

    counted: int = 0
    late: int = 0
    sent_again: int = 0
    left: Counter[str] = field(default_factory=Counter)


class Replay:
    """Replays the dead letters of one stream."""

    def __init__(
        self,
        scope: StreamScope,
        probe_set: ProbeSet,
        *,
        owner: str,
        codec: Codec | None = None,
    ) -> None:
        config = scope.config
        self._config = config
        self._stream = scope.stream
        self._database = scope.database
        self._clock = scope.clock
        self._owner = owner
        self._codec = codec or Codec(config.record, config.limits, scope.clock)
        self._cache = ProbeSetCache(config, [probe_set])

    def run(self, wanted: DeadLetterFilter = DeadLetterFilter()) -> Outcome:  # noqa: B008  (frozen)
        """Replay what there is; raises StoreError, after which whole batches are done."""
        outcome = Outcome()
        after: tuple[int, int] | None = None
        while letters := self._read(wanted, after):
            try:
                self._replay(letters, outcome)
            except Fenced:
                log.warning("replay_fenced", stream=self._stream.name)
                continue  # another was quicker, some were dropped, LFs were deployed: read again
            after = (letters[-1].partition, letters[-1].offset)
        return outcome

    def _read(self, wanted: DeadLetterFilter, after: tuple[int, int] | None) -> list[DeadLetter]:
        with self._database.read() as connection:
            return dead_letters.by_position(
                connection, self._stream, wanted, limit=BATCH, after=after
            )

    def _replay(self, letters: list[DeadLetter], outcome: Outcome) -> None:
        """Count the letters that decode; Fenced, with nothing done, if they are not there."""
        left: Counter[str] = Counter()
        ended, records, sent_again = list[DeadLetter](), list[Record](), 0
        taken = self._taken(letters)
        for letter in letters:
            decoded = self._decode(letter)
            if not isinstance(decoded, Record):
                left[decoded] += 1
            elif letter.key in taken:
                sent_again += 1
            else:
                ended.append(letter)
                records.append(decoded)
                taken |= {letter.key} - {None}
        counted, late = self._commit(ended, records) if records else (0, 0)
        outcome.left += left
        outcome.counted += counted
        outcome.late += late
        outcome.sent_again += sent_again

    def _taken(self, letters: list[DeadLetter]) -> set[str | None]:
        """Return which keys of dead letters another event has by now."""
        with self._database.read() as connection:
            return {*event_keys.taken(connection, self._stream, letters)}

    def _decode(self, letter: DeadLetter) -> Record | str:
        """Return the record, or why it is none."""
        if letter.size > len(letter.payload):
            return CUT
        raw = Raw(letter.partition, letter.offset, letter.payload, letter.timestamp_ms)
        decoded = self._codec.decode(raw)
        return decoded if isinstance(decoded, Record) else decoded.reason

    def _commit(self, ended: list[DeadLetter], records: list[Record]) -> tuple[int, int]:
        deployments = self._cache.open(self._database, self._stream)
        state = self._state()
        since, n = state.next_offset, len(records)
        placed = [
            structs.replace(record, partition=REPLAYED, offset=since + i)
            for i, record in enumerate(records)
        ]
        counted = fold(
            deployments.run(placed, quarantined={}),
            REPLAYED,
            running=state.panes,
            samplers=Samplers(self._config.samples, {}, state.sampled),
        )
        batch = PartitionBatch(
            REPLAYED,
            since,
            since + n,
            latest_event_ms=counted.latest_ms,
            drained=True,
            panes=counted.panes,
            added=counted.added,
            samples=counted.samples,
            replayed=ended,
        )
        closed = transaction.commit(
            self._database, deployments.stream, [batch], owner=self._owner, now_ms=self._clock()
        )
        return n, sum(n for start, n in counted.added.items() if store.is_closed(start, closed))

    def _state(self) -> PartitionState:
        """Read what was replayed so far; the first time there is no row for it yet."""
        with self._database.read() as connection:
            state = store.load_partition(connection, self._stream, REPLAYED)
        if state is not None:
            return state
        with self._database.write() as connection:
            now, row = self._clock(), self._stream.id
            streams.seed_partitions(connection, row, {REPLAYED: 0}, now, drained=True)
        return self._state()
