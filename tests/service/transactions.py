"""One function of the store in a transaction of its own, as an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from tidegauge_service.store.engine import Connection, Database

P = ParamSpec("P")
T = TypeVar("T")


def read(
    database: Database,
    function: Callable[Concatenate[Connection, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return ``function(connection, …)`` of a transaction that reads."""
    with database.read() as connection:
        return function(connection, *args, **kwargs)


def write(
    database: Database,
    function: Callable[Concatenate[Connection, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return ``function(connection, …)`` of a transaction that writes."""
    with database.write() as connection:
        return function(connection, *args, **kwargs)
