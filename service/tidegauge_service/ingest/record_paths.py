"""What the paths of a stream file find in records, before anything is counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegauge_probes.model import ABSENT, Fields, lookup
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.codec import SOURCE_TIMESTAMP, Codec
from tidegauge_service.ingest.codec.columns import columns
from tidegauge_service.ingest.codec.rejection import DeadLetterReason
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.ingest.dead_letter import DeadLetter


@dataclass(frozen=True)
class MappingReport:
    """What was found in ``inputs`` inputs, of which ``dead`` are no records.

    ``absent``: (key of the stream file, path) of the paths that no input has. ``why``: the most
    frequent reason why inputs are no records, with its detail. ``columns``: the paths there are.
    """

    inputs: int
    dead: int
    absent: tuple[tuple[str, str], ...]
    why: str
    columns: str

    def faults(self, dead_letter_share: float) -> tuple[str, ...]:
        """Say what is wrong; a share of dead letters that the stream bears is not."""
        first = f"the first {self.inputs} records"
        absent = (f"{key}: '{path}' is in none of {first}" for key, path in self.absent)
        if not self.why or self.dead <= dead_letter_share * self.inputs:
            return tuple(absent)
        return (*absent, f"{self.dead} of {first} cannot be used: {self.why}")


def check_mapping(config: StreamConfig, codec: Codec, inputs: Sequence[Raw]) -> MappingReport:
    """Look for every path of the stream file in *inputs*; dead letters are told of as well.

    SourceError if the codec has to ask somebody, and gets no answer.
    """
    fields = [found for raw in inputs if (found := codec.fields(raw)) is not None]
    absent = tuple(_absent(config, fields)) if fields else ()
    letters = [item for raw in inputs if isinstance(item := codec.decode(raw), DeadLetter)]
    explained = {_REASONS[key] for key, _ in absent if key in _REASONS}
    reasons = Counter(one.reason for one in letters if one.reason not in explained)
    why = ""
    if reasons:
        reason, _ = reasons.most_common(1)[0]
        why = next(f"{reason}, {one.detail}" for one in letters if one.reason == reason)
    return MappingReport(len(inputs), reasons.total(), absent, why, columns(fields))


_REASONS = {
    "record.id": DeadLetterReason.MISSING_ID,
    "record.timestamp": DeadLetterReason.MISSING_TIMESTAMP,
}
"""Dead letters that an absent path explains."""


def _absent(config: StreamConfig, records: Sequence[Fields]) -> Iterator[tuple[str, str]]:
    return ((key, path) for key, path in _paths(config) if is_nowhere(records, path))


def is_nowhere(records: Sequence[Fields], path: str) -> bool:
    """Whether no record has the path."""
    return all(lookup(fields, path, ABSENT) is ABSENT for fields in records)


def _paths(config: StreamConfig) -> Iterator[tuple[str, str]]:
    mapping = config.record
    if mapping.id is not None:
        yield "record.id", mapping.id
    if mapping.timestamp != SOURCE_TIMESTAMP:
        yield "record.timestamp", mapping.timestamp
    if mapping.text is not None:
        yield "record.text", mapping.text
    for path in config.segment_by:
        yield "segment_by", path
