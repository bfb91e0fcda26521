"""What a stream cannot see, as commands print it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tidegauge_alerts.messages import phrases
from tidegauge_probes.findings import BlindCause, Blindness
from tidegauge_service.cli.console.first_records import first_inputs
from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.columns import columns
from tidegauge_service.ingest.codec.stream_codec import open_codec

_BY_FIELD: Final = frozenset({BlindCause.LF_FAILS, BlindCause.NO_SEGMENTS, BlindCause.BLIND_SPOT})
"""Causes that the names of the fields may explain."""


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
