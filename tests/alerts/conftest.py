"""Fixtures of the alert tests."""

from collections.abc import Iterator

import pytest

from tests.alerts.hooks import Hook


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Give a webhook receiver on a free port of loopback."""
    hook = Hook()
    yield hook
    hook.close()
