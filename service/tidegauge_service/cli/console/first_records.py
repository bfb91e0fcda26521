"""The first records of a stream's source, read without taking part in it."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from tidegauge_service.cli.probes.sample import stream_inputs
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
from tidegauge_service.ingest.sources.registry import open_source
from tidegauge_service.ingest.sources.source import Raw
from tidegauge_service.store.engine import Database

FIRST: Final = 100
"""Records that are looked at."""

LONGEST_LOOK_S: Final = 5.0
"""How long the first records of a topic are waited for."""


def first_inputs(config: StreamConfig, settings: Settings) -> list[Raw] | None:
    """Return the first inputs of a stream; None for a log. SourceError if they cannot be read."""
    if config.source.kind != "kafka":
        return stream_inputs(config, FIRST)
    with (
        closing(Database(settings.database.get_secret_value())) as database,
        closing(open_source(config, settings, database)) as source,
    ):
        return source.first(FIRST, LONGEST_LOOK_S) if isinstance(source, KafkaTopic) else None
