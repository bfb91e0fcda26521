"""From the configuration of a source to the source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.ingest.demo_source import DemoStream
from tidegauge_service.ingest.file_source import FileSource
from tidegauge_service.ingest.kafka_source import KafkaTopic
from tidegauge_service.ingest.log_source import EventLog
from tidegauge_service.ingest.source import Source
from tidegauge_service.store.engine import Database
from tidegauge_service.stream_config import DemoSource, LogSource, StreamConfig
from tidegauge_service.stream_config import FileSource as FileConfig


def open_source(config: StreamConfig, kafka_password: str | None, database: Database) -> Source:
    """Open the stream's source; SourceError says what to check."""
    source = config.source
    if isinstance(source, FileConfig):
        return FileSource(source.path, Path(config.folder))
    if isinstance(source, DemoSource):
        return DemoStream(
            partial(raw_at, source.seed, plan=Plan()), rate=source.rate, limit=source.limit
        )
    if isinstance(source, LogSource):
        return EventLog(source, config.name, database)
    return KafkaTopic(source, kafka_password, Path(config.folder))
