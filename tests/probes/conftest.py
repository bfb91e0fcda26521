from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_small_matrices() -> Iterator[None]:
    """Many BLAS threads for thousands of small windows mostly wait, on a busy machine."""
    with threadpool_limits(1):
        yield
