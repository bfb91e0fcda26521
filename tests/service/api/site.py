"""A service's application over a database with two streams, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.service.streams_for_tests import HOUR, START, write_stream
from tests.service.transactions import write
from tidegauge_probes import load
from tidegauge_service.config.stream_file import load_stream
from tidegauge_service.runtime.health import Health
from tidegauge_service.runtime.server import create_service_app
from tidegauge_service.store import registration, streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import events

NOW = START + HOUR
TOKEN = "secret"


class Site:
    """The streams `test`, whose source is a log, and `other`; a client with the token."""

    def __init__(self, folder: Path, database: Database, **source: Any) -> None:
        self.database = database
        self.health = Health()
        for name, kind in (("test", "log"), ("other", "demo")):
            given = source if kind == "log" else {}
            config = load_stream(write_stream(folder, name=name, source={"kind": kind, **given}))
            stream = write(
                database, registration.register, config, load(config.probes, folder), NOW
            )
            if kind == "log":
                write(database, events.make_partitions, stream, 2)
            write(database, streams.seed_partitions, stream.id, {0: 0, 1: 0}, NOW)
        self.app = create_service_app(database, self.health, TOKEN, lambda: NOW)
        self.client = TestClient(
            self.app,
            headers={"Authorization": f"Bearer {TOKEN}"},
            raise_server_exceptions=False,
            follow_redirects=False,
        )
