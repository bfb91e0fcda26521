"""From the configuration of a source to the source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tidegauge_service.config.settings import Settings
from tidegauge_service.config.sources import DemoSource, LogSource
from tidegauge_service.config.sources import FileSource as FileConfig
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.ingest.sources.demo import DemoStream
from tidegauge_service.ingest.sources.files.kinds import options_of
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.kafka.source import KafkaTopic
from tidegauge_service.ingest.sources.log import EventLog
from tidegauge_service.ingest.sources.source import Source
from tidegauge_service.store.engine import Database


def open_source(config: StreamConfig, settings: Settings, database: Database) -> Source:
    """Open the stream's source; SourceError says what to check."""
    source = config.source
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else None
    if isinstance(source, FileConfig):
        return FileReader(source.path, Path(config.folder), options_of(config))
    if isinstance(source, DemoSource):
        return DemoStream(
            partial(raw_at, source.seed, plan=Plan()), rate=source.rate, limit=source.limit
        )
    if isinstance(source, LogSource):
        return EventLog(source, config.name, database)
    bytes_ = config.limits.batch_bytes
    return KafkaTopic(source, password, Path(config.folder), batch_bytes=bytes_)
