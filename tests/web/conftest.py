"""Fixtures of the page's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.site_for_tests import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a page over an empty database."""
    made = Site(tmp_path)
    yield made
    made.client.close()
    made.database.close()
