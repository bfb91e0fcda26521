"""Fixtures of the tests of page and API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.service.transactions import read
from tests.web.site_for_tests import NOW, Site
from tidegauge_service.api.app import create_app
from tidegauge_service.api.auth import TokenAuth
from tidegauge_service.api.context import ApiContext
from tidegauge_service.metrics.exposition import Collector
from tidegauge_service.metrics.snapshot import take_snapshot


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a page over an empty database."""
    made = Site(tmp_path)
    yield made
    made.client.close()
    made.database.close()


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """Give the whole API over the site's database."""
    figures = Collector(lambda: read(site.database, take_snapshot, NOW)).registry
    context = ApiContext(site.database, lambda: NOW, TokenAuth("secret"), figures, lambda: None)
    with TestClient(create_app(context), headers={"Authorization": "Bearer secret"}) as client:
        yield client
