"""Names of streams: what is counted under one name is one stream."""

from __future__ import annotations

from collections.abc import Iterable

from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import SettingsError


def check_names_differ(configs: Iterable[StreamConfig]) -> None:
    """SettingsError if two stream files have the same `name`: they would count as one stream."""
    files: dict[str, str] = {}
    for config in configs:
        if config.name in files:
            msg = (
                f"{files[config.name]} and {config.file} both have the name '{config.name}': give "
                "each stream a `name` of its own. To start more workers of one stream, use "
                "--workers"
            )
            raise SettingsError(msg)
        files[config.name] = config.file
