"""What a stream cannot see, as commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tidegauge_alerts.messages import phrases
from tidegauge_alerts.messages.phrases import MAX_SEGMENT, MOST_NAMED, clean, percent
from tidegauge_probes.findings import BlindCause, Blindness
from tidegauge_service.cli.console.first_records import first_inputs
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.columns import columns
from tidegauge_service.ingest.codec.stream_codec import open_codec
from tidegauge_service.ingest.record_paths import check_mapping
from tidegauge_service.store.windows.failures import LfFailures

_BY_FIELD: Final = frozenset({BlindCause.LF_FAILS, BlindCause.NO_SEGMENTS, BlindCause.BLIND_SPOT})
"""Causes that the names of the fields may explain."""


def failure_lines(
    failing: Sequence[LfFailures], blind: Sequence[Blindness], file: str
) -> tuple[str, ...]:
    """Return which LFs fail on a part of the records, apart from those that *blind* names."""
    named = {one.probe for one in blind}
    some = [one for one in failing if one.probe not in named]
    if not some:
        return ()
    more = len(some) - MOST_NAMED
    return (
        "LFs fail on some records, on which they neither vote nor abstain:",
        *(
            f"  '{clean(one.probe)}' on {percent(one.share)} % ({clean(one.type)}: "
            f"{clean(one.message, MAX_SEGMENT)})"
            for one in some[:MOST_NAMED]
        ),
        *([f"  and {more} more"] if more > 0 else []),
        f"  To see why: `tidegauge probes check {file}`",
    )


def text_lines(config: StreamConfig, blind: Sequence[Blindness], settings: Settings) -> list[str]:
    """Say that the first records have no field `record.text`, unless *blind* says it.

    Reads the first records of the source again: SourceError.
    """
    if config.record.text is None or any(one.path for one in blind):
        return []
    inputs = first_inputs(config, settings)
    if not inputs:
        return []
    found = check_mapping(config, open_codec(config, settings, now_ms), inputs)
    return [
        f"{key}: '{clean(path)}' is in none of the first {found.inputs} records. They have: "
        f"{found.columns}"
        for key, path in found.absent
        if key == "record.text"
    ]


def blind_lines(
    found: Sequence[Blindness], config: StreamConfig, settings: Settings
) -> tuple[str, ...]:
    """Return what the stream cannot see and the fields that there are; nothing if it sees all.

    Reads the first records of the source again: SourceError.
    """
    if not found:
        return ()
    broken = any(one.broken for one in found)
    title = "the stream is blind, so drift may go undetected:" if broken else "blind spot:"
    said = (title, *(f"  {text}" for text in phrases.blind(found)))
    inputs = first_inputs(config, settings) if any(one.cause in _BY_FIELD for one in found) else ()
    if not inputs:
        return said
    codec = open_codec(config, settings, now_ms)
    fields = [one for raw in inputs if (one := codec.fields(raw)) is not None]
    return (*said, f"  The records have: {columns(fields)}")
