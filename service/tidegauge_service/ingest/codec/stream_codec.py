"""The codec of a stream, as its file and the settings describe it."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from tidegauge_service.clock import Clock
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.ingest.codec.codec import Codec
from tidegauge_service.ingest.codec.formats import open_format
from tidegauge_service.ingest.codec.schema_registry import Registry


def open_codec(config: StreamConfig, settings: Settings, clock: Clock) -> Codec:
    """Return how the stream's inputs are decoded; SettingsError says what to fix."""
    password = _revealed(settings.schema_registry_password)
    format_ = open_format(config.record, password, Path(config.folder))
    return Codec(config.record, config.limits, clock, format_)


def check_format(config: StreamConfig, settings: Settings) -> str:
    """Return what is decoded and how; asks the schema registry, if there is one, for anything."""
    mapping, folder = config.record, Path(config.folder)
    password = _revealed(settings.schema_registry_password)
    open_format(mapping, password, folder)
    if mapping.schema_registry is None:
        return mapping.format
    asked = Registry(mapping.schema_registry, password, folder).check()
    return f"{mapping.format}, schema registry with {asked}"


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
