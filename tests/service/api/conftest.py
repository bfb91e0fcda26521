"""Fixtures of the tests of the HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.api.site import Site
from tidegauge_service.store.engine import Database


@pytest.fixture
def site(sqlite_database: Database, tmp_path: Path) -> Iterator[Site]:
    """Give an application on SQLite."""
    made = Site(tmp_path, sqlite_database)
    yield made
    made.client.close()


@pytest.fixture
def any_site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """Give an application on SQLite, then on PostgreSQL."""
    made = Site(tmp_path, database)
    yield made
    made.client.close()
