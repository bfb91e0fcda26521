from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_small_matrices() -> Iterator[None]:
    """Counting thousands of small windows on many BLAS threads is all waiting, on a busy machine."""
    with threadpool_limits(1):
        yield
