"""What doctor reads from the database, which it never changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.store import streams
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import StreamRow

Found = TypeVar("Found")


def opened(settings: Settings) -> Database:
    """Open the database without creating or upgrading its tables."""
    return Database(settings.database.get_secret_value())


def look(
    path: Path, settings: Settings, read: Callable[[Connection, StreamRow], Found]
) -> Found | None:
    """Return what *read* finds for a stream; None if the database does not have the stream."""
    with closing(opened(settings)) as database:
        found_revision, needed = database.version()
        if found_revision != needed:  # the check of the database says what to do
            return None
        name = load_stream(path).name
        with database.read() as connection:
            stream = streams.find(connection, name)
            return None if stream is None else read(connection, stream)
