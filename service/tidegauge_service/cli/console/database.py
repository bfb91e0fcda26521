"""How commands open the database, and what they look up in it.

Apart from ``terminal``: commands that need no database start without SQLAlchemy.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegauge_service.clock import now_ms
from tidegauge_service.config.settings import Settings
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.errors import SettingsError
from tidegauge_service.store import streams
from tidegauge_service.store.deployments import Author
from tidegauge_service.store.engine import Connection, Database
from tidegauge_service.store.streams import StreamRow


@contextmanager
def opened(settings: Settings, *, upgrade: bool = False) -> Iterator[Database]:
    """Open the database; SQLite is brought up to date by itself, PostgreSQL only on request."""
    database = Database(settings.database.get_secret_value())
    try:
        if upgrade or (database.is_sqlite and database.version()[0] != database.version()[1]):
            database.upgrade()
        else:
            database.require_current()
        yield database
    finally:
        database.close()


def find_stream(connection: Connection, named: str) -> StreamRow:
    """Return the stream of a name, or of the name in a stream file; SettingsError lists them."""
    name = load_stream(Path(named)).name if named.endswith((".yaml", ".yml")) else named
    found = streams.find(connection, name)
    if found is None:
        known = ", ".join(streams.names(streams.select_streams(connection))) or "none yet"
        msg = f"there is no stream '{name}' in this database; streams: {known}"
        raise SettingsError(msg)
    return found


def author(by: str | None) -> Author:
    """Return who changes something now: *by*, or whoever is logged in."""
    return Author(by or getpass.getuser(), now_ms())
