"""From the configuration of a source to the source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import SecretStr

from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import DemoSource, LogSource, StreamConfig
from tidegauge_service.config.stream_file import FileSource as FileConfig
from tidegauge_service.demo.generator import raw_at
from tidegauge_service.demo.plan import Plan
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.formats import open_format
from tidegauge_service.ingest.codec.schema_registry import Registry
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
    password = _revealed(settings.kafka_password)
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


def open_codec(config: StreamConfig, settings: Settings, clock: Clock) -> Codec:
    """Return how the stream's inputs are decoded; SettingsError says what to mend."""
    password = _revealed(settings.schema_registry_password)
    format_ = open_format(config.record, password, Path(config.folder))
    return Codec(config.record, config.limits, clock, format_)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def check_format(config: StreamConfig, settings: Settings) -> str:
    """Return what is decoded and how; asks the schema registry, if there is one, for anything."""
    mapping, folder = config.record, Path(config.folder)
    password = _revealed(settings.schema_registry_password)
    open_format(mapping, password, folder)
    if mapping.schema_registry is None:
        return mapping.format
    asked = Registry(mapping.schema_registry, password, folder).check()
    return f"{mapping.format}, schema registry with {asked}"
