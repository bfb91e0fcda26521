"""Runs of an experiment, spread over processes.

Each run draws from its own seed, so the figures do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool: Final[ContextVar[ProcessPoolExecutor | None]] = ContextVar("pool", default=None)


@contextmanager
def workers(jobs: int) -> Iterator[None]:
    """Let :func:`spread` use so many processes; with one, it works in this one."""
    if jobs < 2:
        yield
        return
    with ProcessPoolExecutor(jobs) as pool:
        token = _pool.set(pool)
        try:
            yield
        finally:
            _pool.reset(token)


def spread(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return the results in order. *work* and the items are sent to processes, so both pickle."""
    pool = _pool.get()
    return list(map(work, items) if pool is None else pool.map(work, items))
